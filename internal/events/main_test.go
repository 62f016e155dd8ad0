package events

import (
	"testing"

	"countersign/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

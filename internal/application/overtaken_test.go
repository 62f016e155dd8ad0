package application

import (
	"context"
	"testing"

	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// meanwhile reads, and has something done once before what was read is looked at.
type meanwhile struct {
	store.Reader
	do func()
}

func (m *meanwhile) Query(ctx context.Context, query string, args ...any) (*store.Rows, error) {
	rows, err := m.Reader.Query(ctx, query, args...)
	if do := m.do; do != nil {
		m.do = nil
		do()
	}
	return rows, err
}

// An application that is changed while the catalogue is read is in it, as it is now.
func TestAnApplicationThatIsChangedWhileItIsRead(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		s := newShop(t, dsn)
		v, err := s.read(t.Context(), &meanwhile{s.db, func() { s.set("vpn", "two") }})
		if err != nil || len(v.all) != 2 || string(v.byName["vpn"].Settings) != `"two"` {
			t.Errorf("%v, %v", v, err)
		}
		storetest.Quiet(t, s.db)
	})
}

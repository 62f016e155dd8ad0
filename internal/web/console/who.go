package console

import (
	"slices"
	"time"

	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
)

const (
	waitingCookie = "countersign-waiting"
	waitingLife   = 15 * time.Minute
)

var notYours = failure.Refuse("not-administrator", "These pages are for administrators.")

func isAdministrator(g signin.Grant) bool {
	return slices.Contains(g.Groups(), directory.Administrators)
}

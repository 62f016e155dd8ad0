package servertest

import (
	"context"
	"testing"

	"countersign/internal/rootkey"
	"countersign/internal/store/storetest"
)

// TwoNodes are two servers on one PostgreSQL with one root key.
func TwoNodes(t *testing.T) (a, b *World, ada *Person, dsn string) {
	dsn = storetest.StartPostgres(t).DSN
	a = NewWorldOn(t, dsn)
	ada = a.EnrollCodes("ada")
	if err := a.PlantApplications(context.Background(), "wiki.test", "a-secret-of-the-equipment"); err != nil {
		t.Fatal(err)
	}
	root, err := rootkey.Find(a.Folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("COUNTERSIGN_ROOT_KEY", root.Text())
	b = NewWorldOn(t, dsn)
	b.Skew.Store(a.Skew.Load())
	return a, b, ada, dsn
}

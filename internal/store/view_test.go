package store_test

import (
	"reflect"
	"slices"
	"testing"

	"countersign/internal/store"
)

// Whoever is handed a piece of the database can write nothing by it: none of its methods runs
// a transaction, or leads to what does.
func TestPiecesWriteNothing(t *testing.T) {
	banned := []reflect.Type{reflect.TypeFor[*store.DB](), reflect.TypeFor[store.DB](), reflect.TypeFor[func(*store.Tx) error]()}
	for _, piece := range []reflect.Type{reflect.TypeFor[store.View](), reflect.TypeFor[*store.AuditLog](), reflect.TypeFor[*store.Feed](), reflect.TypeFor[*store.Alarms](), reflect.TypeFor[*store.Condition]()} {
		if piece.NumMethod() == 0 {
			t.Errorf("%s has no methods: the test looks at something else", piece)
		}
		for i := range piece.NumMethod() {
			m := piece.Method(i)
			for n := range m.Type.NumIn() {
				if in := m.Type.In(n); slices.Contains(banned, in) {
					t.Errorf("%s.%s takes a %s", piece, m.Name, in)
				}
			}
			for n := range m.Type.NumOut() {
				if out := m.Type.Out(n); slices.Contains(banned, out) {
					t.Errorf("%s.%s returns a %s", piece, m.Name, out)
				}
			}
		}
	}
}

package application

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/keyring/keyringtest"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// shop is a database with applications, which is closed and opened again as a server is.
type shop struct {
	*Catalogue
	t           *testing.T
	dsn, folder string
	root        keyring.Root
}

func newShop(t *testing.T, dsn string) *shop {
	t.Helper()
	s := &shop{t: t, dsn: dsn, folder: t.TempDir(), root: keyring.NewRoot()}
	s.open()
	s.set("vpn", "one")
	s.set("wiki", "one")
	return s
}

func (s *shop) open() {
	s.t.Helper()
	db, keys := keyringtest.Open(s.t, store.Options{DSN: s.dsn, Remember: s.folder}, s.root)
	var err error
	if s.Catalogue, err = Open(s.t.Context(), db, keys); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) again() {
	s.t.Helper()
	if err := s.db.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.open()
}

// as is an application with a secret.
func as(name, secret string) Application {
	return Application{Name: name, Title: name, Kind: "vpn", Tier: Standard, Protocol: "radius", Settings: []byte(`"` + secret + `"`)}
}

func (s *shop) set(name, secret string) Application {
	s.t.Helper()
	var out Application
	s.change(func(tx *store.Tx) (err error) { out, err = s.Set(s.t.Context(), tx, as(name, secret)); return err })
	return out
}

func (s *shop) change(f func(tx *store.Tx) error) {
	s.t.Helper()
	if err := s.changed(f); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) changed(f func(tx *store.Tx) error) error {
	return s.db.Change(s.t.Context(), storetest.Actor, func(tx *store.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test", Outcome: audit.OK})
	})
}

func (s *shop) sabotage(query string, args ...any) {
	s.t.Helper()
	storetest.Sabotage(s.t, s.db, query, args...)
	s.gen.Add(1)
}

// copied is a row as somebody keeps it who can read the database.
type copied []any

func (s *shop) copyOf(name string) (row copied) {
	s.t.Helper()
	var id, created, changed, version int64
	var title, kind, tier, protocol, vouches string
	var settings, mac []byte
	err := s.db.QueryRow(s.t.Context(), `select `+columns+` from application where name = $1`, name).
		Scan(&id, &name, &title, &kind, &tier, &protocol, &vouches, &settings, &created, &changed, &version, &mac)
	if err != nil {
		s.t.Fatal(err)
	}
	return copied{id, name, title, kind, tier, protocol, vouches, settings, created, changed, version, mac}
}

// putBack writes a copy in the place of what is there.
func (s *shop) putBack(row copied) {
	s.t.Helper()
	over := ""
	if len(s.dsn) > 8 && s.dsn[:8] == "postgres" {
		over = "overriding system value "
	}
	s.change(func(tx *store.Tx) error {
		if _, err := tx.Exec(s.t.Context(), `delete from application where id = $1`, row[0]); err != nil {
			return err
		}
		_, err := tx.Exec(s.t.Context(), `insert into application (`+columns+`) `+over+`values ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)`, row...)
		return err
	})
	s.gen.Add(1)
}

// has is what the catalogue has of a name: its secret, or nothing.
func (s *shop) secret(name string) string {
	s.t.Helper()
	a, err := s.Get(s.t.Context(), name)
	if failure.ClassOf(err) == failure.NotFound {
		return ""
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return string(a.Settings)
}

func (s *shop) inspect() {
	s.t.Helper()
	for range 2 {
		if err := s.Inspect(s.t.Context()); err != nil {
			s.t.Error(err)
		}
	}
}

// Whatever somebody does to a row, nobody goes by it, the other applications stay, and the
// log says so once: while the server runs and after a restart.
func TestAnApplicationOfSomebodyElseIsNone(t *testing.T) {
	cases := map[string]struct {
		do    func(s *shop)
		wrong string
		row   int64
	}{
		"deleted": {func(s *shop) { s.sabotage(`delete from application where name = 'vpn'`) }, store.Missing, 1},
		"put back from before": {func(s *shop) {
			old := s.copyOf("vpn")
			s.set("vpn", "two")
			s.putBack(old)
		}, store.Older, 1},
		"put back after it was removed": {func(s *shop) {
			old := s.copyOf("vpn")
			s.change(func(tx *store.Tx) error { return s.Remove(s.t.Context(), tx, "vpn") })
			s.putBack(old)
		}, store.Returned, 1},
		"the other's settings": {func(s *shop) {
			other := s.copyOf("wiki")
			s.sabotage(`update application set settings = $1, mac = $2 where name = 'vpn'`, other[7], other[11])
		}, store.Altered, 1},
		"names exchanged": {func(s *shop) {
			s.sabotage(`update application set name = 'x' where name = 'vpn'`)
		}, store.Altered, 1},
		"a copy under another name": {func(s *shop) {
			row := s.copyOf("vpn")
			s.sabotage(`delete from application where name = 'vpn'`)
			row[0], row[1] = int64(7), "vpn"
			s.putBack(row)
		}, store.Altered, 7},
	}
	for column, value := range map[string]string{"title": `'x'`, "kind": `'wiki'`, "tier": `'control-plane'`, "protocol": `'forward-auth'`, "vouches": `'password'`,
		"created": `created - 1`, "changed": `changed + 1`, "version": `version + 1`, "mac": `(select mac from application where name = 'wiki')`, "settings": `(select settings from application where name = 'wiki')`} {
		cases[column] = struct {
			do    func(s *shop)
			wrong string
			row   int64
		}{func(s *shop) { s.sabotage(`update application set ` + column + ` = ` + value + ` where name = 'vpn'`) }, store.Altered, 1}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			storetest.EachDSN(t, func(t *testing.T, dsn string) {
				s := newShop(t, dsn)
				if s.inspect(); s.secret("vpn") != `"one"` {
					t.Fatal("there is none to begin with")
				}
				storetest.Quiet(t, s.db)
				c.do(s)
				row := strconv.FormatInt(c.row, 10)
				for range 2 {
					if vpn, wiki := s.secret("vpn"), s.secret("wiki"); vpn != "" || wiki != `"one"` {
						t.Errorf("%q, and the other %q", vpn, wiki)
					}
					if all, err := s.All(t.Context()); err != nil || len(all) != 1 {
						t.Errorf("listed: %d, %v", len(all), err)
					}
					s.inspect()
					storetest.Alarmed(t, s.db, "application", row, c.wrong)
					s.again()
				}
				if v, err := s.VersionIn(t.Context(), s.db, "vpn"); v != "" || err != nil {
					t.Errorf("whoever changes it sees version %q, %v", v, err)
				}
				s.set("vpn", "three")
				if s.again(); s.secret("vpn") != `"three"` {
					t.Errorf("set anew: %q", s.secret("vpn"))
				}
				s.change(func(tx *store.Tx) error { return s.Remove(t.Context(), tx, "vpn") })
				if s.again(); s.secret("vpn") != "" {
					t.Error("removed, and there")
				}
			})
		})
	}
}

// What is changed and removed as it should be is no alarm.
func TestChangesOfApplicationsAreNoAlarm(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		s := newShop(t, dsn)
		first := s.set("mail", "one")
		if second := s.set("mail", "two"); second.ID != first.ID || !second.Created.Equal(first.Created) || second.Changed.Before(first.Changed) || second.count != 2 {
			t.Errorf("%+v after %+v", second, first)
		}
		s.change(func(tx *store.Tx) error {
			if _, err := s.Set(t.Context(), tx, as("mail", "three")); err != nil {
				return err
			}
			_, err := s.Set(t.Context(), tx, as("mail", "four"))
			return err
		})
		s.change(func(tx *store.Tx) error { return s.Remove(t.Context(), tx, "wiki") })
		if err := s.changed(func(tx *store.Tx) error { return s.Remove(t.Context(), tx, "wiki") }); failure.ClassOf(err) != failure.NotFound {
			t.Errorf("removed twice: %v", err)
		}
		wiki := s.set("wiki", "anew")
		for range 2 {
			if s.secret("mail") != `"four"` || s.secret("wiki") != `"anew"` || wiki.count != 1 {
				t.Errorf("%q, %q, %+v", s.secret("mail"), s.secret("wiki"), wiki)
			}
			s.inspect()
			storetest.Quiet(t, s.db)
			s.again()
		}
	})
}

// Whoever has the database give numbers that it gave before, or very high ones, keeps
// applications from being made, and gets none of theirs believed.
func TestNumbersOfApplicationsAreGivenOnce(t *testing.T) {
	for name, next := range map[string]int64{"one of before": 1, "one far ahead": 1 << 40} {
		storetest.EachDSN(t, func(t *testing.T, dsn string) {
			s := newShop(t, dsn)
			s.change(func(tx *store.Tx) error { return s.Remove(t.Context(), tx, "vpn") })
			file := storetest.File(t, dsn)
			restart := `alter table application alter column id restart with ` + strconv.FormatInt(next, 10)
			if dsn[:8] != "postgres" {
				s.sabotage(`delete from application`)
				restart = `update sqlite_sequence set seq = ` + strconv.FormatInt(next-1, 10) + ` where name = 'application'`
			}
			if _, err := file.ExecContext(t.Context(), restart); err != nil {
				t.Fatal(err)
			}
			err := s.changed(func(tx *store.Tx) error { _, err := s.Set(t.Context(), tx, as("mail", "one")); return err })
			if !errors.Is(err, store.ErrNumbers) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// The applications of a release before are bound once, as they stand. What did not bear its
// MAC of then is bound to nothing.
func TestApplicationsOfBeforeAreBound(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		s := &shop{t: t, dsn: dsn, folder: t.TempDir(), root: keyring.NewRoot()}
		s.open()
		for _, name := range []string{"mail", "vpn", "wiki"} {
			s.change(func(tx *store.Tx) error {
				a := as(name, "one")
				now := store.Unix(tx.Now())
				if err := tx.QueryRow(t.Context(), `insert into application (name, title, kind, tier, protocol, settings, created, changed, mac) values ($1,$2,$3,$4,$5,$6,$7,$7,$6) returning id`,
					a.Name, a.Title, a.Kind, a.Tier, a.Protocol, []byte{}, now).Scan(&a.ID); err != nil {
					return err
				}
				sealed := s.keys.Seal("application", a.aad(), a.Settings)
				f := keyring.NewFields().Int(a.ID).String(a.Name).String(a.Kind).String(a.Tier).String(a.Protocol).String(a.Vouches).Bytes(sealed)
				_, err := tx.Exec(t.Context(), `update application set settings = $2, mac = $3 where id = $1`, a.ID, sealed, s.keys.MAC("application", f))
				return err
			})
		}
		s.sabotage(`update application set tier = 'control-plane' where name = 'mail'`)
		if err := Bind(t.Context(), s.db, s.keys); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			s.again()
			if mail, vpn, wiki := s.secret("mail"), s.secret("vpn"), s.secret("wiki"); mail != "" || vpn != `"one"` || wiki != `"one"` {
				t.Errorf("%q, %q, %q", mail, vpn, wiki)
			}
		}
		old := s.copyOf("vpn")
		s.set("vpn", "two")
		s.putBack(old)
		s.sabotage(`delete from application where name = 'wiki'`)
		if s.secret("vpn") != "" {
			t.Error("an older one is believed")
		}
		s.inspect()
		storetest.Alarmed(t, s.db, "application", "2", store.Older)
		storetest.Alarmed(t, s.db, "application", "3", store.Missing)
	})
}

// A row that was removed while it was read is no alarm: the watch over rows asks again.
func TestWhatIsRemovedMeanwhileIsNoAlarm(t *testing.T) {
	s := newShop(t, t.TempDir()+"/test.db")
	vpn, err := s.Get(t.Context(), "vpn")
	if err != nil {
		t.Fatal(err)
	}
	s.change(func(tx *store.Tx) error { return s.Remove(t.Context(), tx, "vpn") })
	s.report(context.Background(), vpn, store.Older)
	s.db.Report(store.Finding{Table: "application", Row: "9", Wrong: store.Missing}) // the next in line
	storetest.Alarmed(t, s.db, "application", "9", store.Missing)
	if all, err := s.db.Alarms().Unseen(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}

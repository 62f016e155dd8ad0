package scim

import (
	"context"
	"net/http"
	"slices"
	"time"

	"countersign/internal/admin/account"
	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// people are the resources of type User.
type people struct {
	rows
	desk *desk
	// scans is a place for each search that goes through everybody.
	scans chan struct{}
}

// mostScans is how many searches go through everybody at once.
const mostScans = 2

func (p *people) get(r *request) (*answer, error) {
	g, err := p.desk.ask(r.http, "account.show", "")
	if err != nil {
		return nil, err
	}
	u, err := p.read(r.http.Context(), g, r.id)
	if err != nil {
		return nil, err
	}
	if r.unchanged(u.version) {
		return &answer{status: http.StatusNotModified, version: u.version}, nil
	}
	return p.shown(r, g, u, http.StatusOK)
}

// read reads a person as the grant's account sees them.
func (p *people) read(ctx context.Context, g signin.Grant, id string) (userOf, error) {
	a, err := p.person(ctx, p.view, id)
	if err != nil {
		return userOf{}, err
	}
	return p.user(ctx, p.view, g.Account(), a)
}

// shown answers what of a person is wanted.
func (p *people) shown(r *request, g signin.Grant, u userOf, status int) (*answer, error) {
	v := r.http.URL.Query()
	s, err := readSelection(listed(v.Get("attributes")), listed(v.Get("excludedAttributes")))
	return &answer{status: status, body: s.of(p.userResource(u, g.Time())), version: u.version, location: p.at(userKind, int64(u.account.ID))}, err
}

func (p *people) create(r *request) (*answer, error) {
	if err := r.read(); err != nil {
		return nil, err
	}
	if _, err := readSelection(listed(r.http.URL.Query().Get("attributes")), listed(r.http.URL.Query().Get("excludedAttributes"))); err != nil {
		return nil, err
	}
	w, err := wantedUser(r.body, true)
	if err != nil {
		return nil, err
	}
	all := []command{&account.Create{Name: w.name, Display: w.display.text, Kind: directory.Person, Mail: w.mail.text, External: w.external.text}}
	if w.active.given && !w.active.yes {
		all = append(all, &account.Suspend{Name: w.name, Reason: reason})
	}
	g, err := p.desk.doAll(r.http, nil, all)
	if err != nil {
		return nil, created(err)
	}
	a, err := p.accounts.Find(r.http.Context(), p.view, w.name)
	if err != nil {
		return nil, err
	}
	u, err := p.user(r.http.Context(), p.view, g.Account(), a)
	if err != nil {
		return nil, err
	}
	return p.shown(r, g, u, http.StatusCreated)
}

// created is what a client is told that could not make something: what is there already is a
// matter of uniqueness (RFC 7644, section 3.3).
func created(err error) error {
	if failure.ClassOf(err) == failure.Conflict {
		return &fault{status: http.StatusConflict, scimType: "uniqueness", detail: failure.Public(err)}
	}
	return err
}

func (p *people) put(r *request) (*answer, error) {
	return retried(func() (*answer, error) {
		return p.change(r, func(u userOf, now time.Time) (user, error) { return wantedUser(r.body, true) })
	})
}

func (p *people) patch(r *request) (*answer, error) {
	return retried(func() (*answer, error) {
		return p.change(r, func(u userOf, now time.Time) (user, error) {
			ops, err := readOperations(r.body)
			if err != nil {
				return user{}, err
			}
			doc, err := patchUser(editable(p.userResource(u, now)), ops)
			if err != nil {
				return user{}, err
			}
			return wantedUser(doc, false)
		})
	})
}

// change makes a person what the client wants, in one change.
func (p *people) change(r *request, wants func(userOf, time.Time) (user, error)) (*answer, error) {
	if err := r.read(); err != nil {
		return nil, err
	}
	g, err := p.desk.ask(r.http, "account.show", "")
	if err != nil {
		return nil, err
	}
	ctx := r.http.Context()
	u, err := p.read(ctx, g, r.id)
	if err != nil {
		return nil, err
	}
	if err := r.fresh(u.version); err != nil {
		return nil, err
	}
	w, err := wants(u, g.Time())
	if err != nil {
		return nil, err
	}
	if all := w.commands(u, g.Time()); len(all) > 0 {
		if err := p.mayWake(ctx, u, all); err != nil {
			return nil, err
		}
		if _, err := p.desk.doAll(r.http, p.still(r, g.Account(), u), all); err != nil {
			return nil, err
		}
		if u, err = p.read(ctx, g, r.id); err != nil {
			return nil, err
		}
	}
	return p.shown(r, g, u, http.StatusOK)
}

var anotherSuspended = failure.Refuse("a-person-must", "An administrator suspended this account, and no provisioning client. An administrator resumes it.")

// mayWake refuses to resume somebody whom no program suspended: a provider asserts again and again
// that its people are active, and would undo what an administrator did. The log says who it was; of
// whom it does not say it, somebody else did it.
func (p *people) mayWake(ctx context.Context, u userOf, all []command) error {
	if !slices.ContainsFunc(all, func(c command) bool { _, ok := c.(*account.Resume); return ok }) {
		return nil
	}
	newest, err := p.entries.Entries(ctx, store.Filter{Account: int64(u.account.ID), Event: "account", Newest: true, Limit: 200})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(newest, func(e audit.Entry) bool { return e.Event == "account.suspended" || e.Event == "account.resumed" })
	if i < 0 || newest[i].Event == "account.resumed" || newest[i].Actor.Account == 0 {
		return anotherSuspended
	}
	by, err := p.accounts.Get(ctx, p.view, assurance.AccountID(newest[i].Actor.Account))
	if failure.ClassOf(err) == failure.NotFound || err == nil && by.Kind != directory.Service {
		return anotherSuspended
	}
	return err
}

// still refuses a change where the person was changed since they were read: what is to be done was
// worked out from that.
func (p *people) still(r *request, client assurance.AccountID, was userOf) func(context.Context, *store.Tx) error {
	return func(ctx context.Context, tx *store.Tx) error {
		a, err := p.person(ctx, tx, r.id)
		if err != nil {
			return err
		}
		now, err := p.user(ctx, tx, client, a)
		if err == nil && now.version != was.version {
			err = overtaken(r)
		}
		return err
	}
}

// overtaken is what a client is told whom another change preceded.
func overtaken(r *request) error {
	if r.ifMatch != "" {
		return &fault{status: http.StatusPreconditionFailed, detail: "The resource was changed meanwhile; read it again."}
	}
	return preceded
}

var preceded = &fault{status: http.StatusConflict, detail: "The resource was changed at the same time; try again."}

// mostTries is how often a change is worked out that others precede.
const mostTries = 10

// retried works a change out again that another one preceded: a client that names no version means
// whatever there is.
func retried(do func() (*answer, error)) (a *answer, err error) {
	for range mostTries {
		if a, err = do(); err != error(preceded) {
			break
		}
	}
	return a, err
}

func (p *people) remove(r *request) (*answer, error) {
	g, err := p.desk.ask(r.http, "account.show", "")
	if err != nil {
		return nil, err
	}
	u, err := p.read(r.http.Context(), g, r.id)
	if err != nil {
		return nil, err
	}
	if err := r.fresh(u.version); err != nil {
		return nil, err
	}
	first := p.still(r, g.Account(), u)
	if r.ifMatch == "" {
		first = nil // whatever the person is now, they go
	}
	_, err = p.desk.doAll(r.http, first, []command{&account.Remove{Name: u.account.Name}})
	return &answer{status: http.StatusNoContent}, err
}

func (p *people) list(r *request) (*answer, error) {
	q, err := readQuery(userKind, r.http.URL.Query())
	if err != nil {
		return nil, err
	}
	return p.find(r, q)
}

func (p *people) search(r *request) (*answer, error) {
	if err := r.read(); err != nil {
		return nil, err
	}
	q, err := searchQuery(userKind, r.body)
	if err != nil {
		return nil, err
	}
	return p.find(r, q)
}

func (p *people) find(r *request, q query) (*answer, error) {
	g, err := p.desk.ask(r.http, "account.list", "")
	if err != nil {
		return nil, err
	}
	s := finding{people: p, ctx: r.http.Context(), q: q, client: g.Account(), now: g.Time()}
	if q.filter == nil && (q.sortBy.name == "" || q.sortBy.name == "id" && !q.backwards) {
		return s.all()
	}
	return s.some()
}

// finding is a search for people.
type finding struct {
	*people
	ctx    context.Context
	q      query
	client assurance.AccountID
	now    time.Time
	hits   []sortKey
}

// all answers a page of everybody.
func (s *finding) all() (*answer, error) {
	total, err := s.roll.CountPeople(s.ctx, s.view)
	if err != nil {
		return nil, err
	}
	var page []directory.Account
	if from, to := s.q.page(total); to > from {
		if page, err = s.roll.PeopleAt(s.ctx, s.view, from, to-from); err != nil {
			return nil, err
		}
	}
	return s.answered(total, page)
}

func (s *finding) answered(total int, page []directory.Account) (*answer, error) {
	out := make([]map[string]any, 0, len(page))
	for _, a := range page {
		u, err := s.user(s.ctx, s.view, s.client, a)
		if err != nil {
			return nil, err
		}
		out = append(out, s.userResource(u, s.now))
	}
	return s.q.answered(total, out), nil
}

// some answers a page of those that a filter chooses: of those that an index leads to where it
// does, and of everybody otherwise, as far as that goes.
func (s *finding) some() (*answer, error) {
	candidates, ok, err := s.indexed()
	if err == nil && ok {
		err = s.among(candidates)
	} else if err == nil {
		err = s.scan()
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(s.hits, sortKey.order)
	if s.q.backwards {
		slices.Reverse(s.hits)
	}
	var page []directory.Account
	from, to := s.q.page(len(s.hits))
	for _, hit := range s.hits[from:to] {
		a, err := s.accounts.Get(s.ctx, s.view, assurance.AccountID(hit.id))
		if failure.ClassOf(err) == failure.NotFound {
			continue // removed since
		}
		if err != nil {
			return nil, err
		}
		page = append(page, a)
	}
	return s.answered(len(s.hits), page)
}

// among keeps those that the filter chooses.
func (s *finding) among(all []directory.Account) error {
	for _, a := range all {
		u := userOf{account: a}
		if s.q.filter.mentions("externalid") || s.q.filter.mentions("meta") || s.q.sortBy.name == "externalid" {
			var err error
			if u, err = s.user(s.ctx, s.view, s.client, a); err != nil {
				return err
			}
		}
		resource := s.userResource(u, s.now)
		if s.q.filter != nil && !userKind.matches(s.q.filter, resource) {
			continue
		}
		if len(s.hits) == maxSorted {
			return bad("tooMany", "The filter chooses more than %d people; choose fewer.", maxSorted)
		}
		key := sortKey{id: int64(a.ID)}
		if s.q.sortBy.name != "" {
			key = userKind.sortKey(key.id, s.q.sortBy, resource)
		}
		s.hits = append(s.hits, key)
	}
	return nil
}

// scan goes through everybody, page by page.
func (s *finding) scan() error {
	select {
	case s.scans <- struct{}{}:
		defer func() { <-s.scans }()
	default:
		return busy
	}
	after, seen := assurance.AccountID(0), 0
	for {
		all, last, read, err := s.roll.People(s.ctx, s.view, after, pageRows)
		if err != nil {
			return err
		}
		if err := s.among(all); err != nil {
			return err
		}
		if after, seen = last, seen+read; read < pageRows {
			return nil
		}
		if seen >= maxScan {
			return bad("tooMany", "There are more than %d people, and the filter has nothing that they are found by at once: compare id, userName, externalId, emails.value or groups.value by eq.", maxScan)
		}
	}
}

// indexed finds those among whom all are that the filter chooses; false where no index leads to
// them.
func (s *finding) indexed() ([]directory.Account, bool, error) {
	if s.q.filter == nil {
		return nil, false, nil
	}
	var out []directory.Account
	seen := map[assurance.AccountID]bool{}
	for _, f := range s.q.filter.either() {
		all, ok, err := s.lookup(f)
		if err != nil || !ok {
			return nil, false, err
		}
		for _, a := range all {
			if a.Kind == directory.Person && !seen[a.ID] {
				seen[a.ID] = true
				out = append(out, a)
			}
		}
	}
	return out, true, nil
}

// lookup finds those that one alternative of a filter can choose.
func (s *finding) lookup(f *filter) (all []directory.Account, ok bool, err error) {
	if v, ok := f.equals(userKind, "id", ""); ok {
		return one2(s.person(s.ctx, s.view, v))
	}
	if v, ok := f.equals(userKind, "username", ""); ok {
		return one2(s.accounts.Find(s.ctx, s.view, v))
	}
	if v, ok := f.equals(userKind, "externalid", ""); ok {
		return s.known(v)
	}
	if v, ok := f.equals(userKind, "emails", "value"); ok {
		all, err := s.roll.WithMail(s.ctx, s.view, v, maxIndexed)
		return all, err == nil && len(all) < maxIndexed, err
	}
	if v, ok := f.equals(userKind, "groups", "value"); ok {
		return s.inGroup(v)
	}
	return nil, false, nil
}

// one2 is an account that is there or not.
func one2(a directory.Account, err error) ([]directory.Account, bool, error) {
	switch {
	case err == error(notFound) || failure.ClassOf(err) == failure.NotFound:
		return nil, true, nil
	case err != nil:
		return nil, false, err
	}
	return []directory.Account{a}, true, nil
}

// known are those that the client knows by an identifier.
func (s *finding) known(value string) ([]directory.Account, bool, error) {
	ids, err := s.externals.Find(s.ctx, s.view, s.client, directory.ExternalUser, value, maxIndexed)
	var out []directory.Account
	for _, id := range ids {
		a, err := s.accounts.Get(s.ctx, s.view, assurance.AccountID(id))
		if failure.ClassOf(err) == failure.NotFound {
			continue
		}
		if err != nil {
			return nil, false, err
		}
		out = append(out, a)
	}
	return out, err == nil && len(ids) < maxIndexed, err
}

// inGroup are the people of a group.
func (s *finding) inGroup(id string) ([]directory.Account, bool, error) {
	g, err := s.team(s.ctx, s.view, id)
	if err == error(notFound) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	n, _, err := s.groups.Membership(s.ctx, s.view, g)
	if err != nil || n > maxSorted {
		return nil, false, err
	}
	var out []directory.Account
	err = s.eachMember(s.ctx, s.view, g, func(a directory.Account) { out = append(out, a) })
	return out, err == nil, err
}

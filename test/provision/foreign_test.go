package provision

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/elimity-com/scim"
	"github.com/elimity-com/scim/errors"
	"github.com/elimity-com/scim/optional"
	"github.com/elimity-com/scim/schema"

	"countersign/internal/servertest"
)

// foreign is an application over a SCIM server that we did not write, elimity-com/scim: it reads
// requests, filters and paths, checks them by its schemas, and writes answers. What it keeps is here.
type foreign struct {
	mu   sync.Mutex
	next int
	all  map[string]scim.Resource
	did  []string
}

func (f *foreign) Create(_ *http.Request, a scim.ResourceAttributes) (scim.Resource, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	return f.put("f-"+strconv.Itoa(f.next), a, "create"), nil
}

func (f *foreign) put(id string, a scim.ResourceAttributes, did string) scim.Resource {
	external, _ := a["externalId"].(string)
	r := scim.Resource{ID: id, Attributes: a, ExternalID: optional.NewString(external)}
	f.all[id] = r
	f.did = append(f.did, did)
	return r
}

func (f *foreign) Get(_ *http.Request, id string) (scim.Resource, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.all[id]
	if !ok {
		return r, errors.ScimErrorResourceNotFound(id)
	}
	return r, nil
}

func (f *foreign) GetAll(_ *http.Request, p scim.ListRequestParams) (scim.Page, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := []scim.Resource{}
	for _, r := range f.all {
		if p.FilterValidator == nil || p.FilterValidator.PassesFilter(r.Attributes) == nil {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b scim.Resource) int { return strings.Compare(a.ID, b.ID) })
	from := min(p.StartIndex-1, len(out))
	return scim.Page{TotalResults: len(out), Resources: out[from:min(from+p.Count, len(out))]}, nil
}

func (f *foreign) Replace(_ *http.Request, id string, a scim.ResourceAttributes) (scim.Resource, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.all[id]; !ok {
		return scim.Resource{}, errors.ScimErrorResourceNotFound(id)
	}
	return f.put(id, a, "replace"), nil
}

func (f *foreign) Delete(_ *http.Request, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.all[id]; !ok {
		return errors.ScimErrorResourceNotFound(id)
	}
	delete(f.all, id)
	f.did = append(f.did, "delete")
	return nil
}

// Patch does operations on whole attributes, and on members by their value.
func (f *foreign) Patch(_ *http.Request, id string, ops []scim.PatchOperation) (scim.Resource, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.all[id]
	if !ok {
		return r, errors.ScimErrorResourceNotFound(id)
	}
	for _, op := range ops {
		name, sub := op.Path.AttributePath.AttributeName, op.Path.AttributePath.SubAttributeName()
		switch {
		case op.Op == scim.PatchOperationRemove && op.Path.ValueExpression != nil:
			_, id, _ := strings.Cut(fmt.Sprint(op.Path.ValueExpression), `"`)
			members, _ := r.Attributes[name].([]any)
			r.Attributes[name] = slices.DeleteFunc(members, func(m any) bool { return m.(map[string]any)["value"] == strings.Trim(id, `"`) })
		case op.Op == scim.PatchOperationRemove:
			delete(r.Attributes, name)
		case op.Op == scim.PatchOperationAdd && name == "members":
			members, _ := r.Attributes[name].([]any)
			more, _ := op.Value.([]any)
			r.Attributes[name] = append(members, more...)
		case sub != "":
			r.Attributes[name] = map[string]any{sub: op.Value}
		default:
			r.Attributes[name] = op.Value
		}
	}
	return f.put(id, r.Attributes, "patch"), nil
}

// newForeign serves users and groups.
func newForeign(t testing.TB, patch bool) (users, groups *foreign, at string) {
	t.Helper()
	users, groups = &foreign{all: map[string]scim.Resource{}}, &foreign{all: map[string]scim.Resource{}}
	s, err := scim.NewServer(&scim.ServerArgs{ServiceProviderConfig: &scim.ServiceProviderConfig{SupportFiltering: true, SupportPatch: patch},
		ResourceTypes: []scim.ResourceType{
			{ID: optional.NewString("User"), Name: "User", Endpoint: "/Users", Schema: schema.CoreUserSchema(), Handler: users},
			{ID: optional.NewString("Group"), Name: "Group", Endpoint: "/Groups", Schema: schema.CoreGroupSchema(), Handler: groups}}})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer the-token-of-the-application" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	return users, groups, web.URL
}

// The promise: a SCIM server that we did not write takes what is sent, whether it has PATCH or whole
// resources alone, and has in the end who is to be there.
func TestForeignServer(t *testing.T) {
	for _, patch := range []bool{false, true} {
		t.Run(fmt.Sprintf("patch %t", patch), func(t *testing.T) {
			users, groups, at := newForeign(t, patch)
			w := servertest.NewWorld(t)
			s := &sender{World: w, clerk: servertest.OfficeOf(w, "chief")[0]}
			s.does(t, "group.create", map[string]any{"name": "sales"}, nil)
			for _, name := range []string{"ada", "bob", "carol"} {
				s.person(t, name, strings.ToUpper(name))
				s.does(t, "group.member.add", map[string]any{"group": "sales", "account": name}, nil)
			}
			settings := map[string]any{"address": at, "token": "the-token-of-the-application", "inside": []string{"127.0.0.1"}, "groups": []string{"sales"}, "share": 100}
			if err := s.trySet(t, settings); err != nil {
				t.Fatal(err)
			}
			s.works(t)
			is := func(f *foreign, attribute string) (out []string) {
				f.mu.Lock()
				defer f.mu.Unlock()
				for _, r := range f.all {
					out = append(out, fmt.Sprint(r.Attributes[attribute]))
				}
				slices.Sort(out)
				return out
			}
			if got := is(users, "userName"); !slices.Equal(got, []string{"ada", "bob", "carol", "chief"}) {
				t.Fatalf("there are %v; %+v", got, s.shown(t))
			}
			if d := s.drift(t); !d.Whole() || d.Groups != 1 {
				t.Errorf("just made, and it differs: %+v", d)
			}
			s.does(t, "account.set-display", map[string]any{"name": "ada", "display": "Countess"}, nil)
			s.does(t, "account.suspend", map[string]any{"name": "bob", "reason": "away"}, nil)
			s.does(t, "group.member.remove", map[string]any{"group": "sales", "account": "bob"}, nil)
			s.works(t)
			if got := is(users, "displayName"); !slices.Contains(got, "Countess") {
				t.Errorf("they are called %v", got)
			}
			if got := is(users, "active"); !slices.Equal(got, []string{"false", "true", "true", "true"}) {
				t.Errorf("active are %v", got)
			}
			if got := is(groups, "members"); len(got) != 1 || strings.Count(got[0], "value:") != 2 {
				t.Errorf("the members are %v", got)
			}
			if slices.Contains(users.did, "patch") != patch || slices.Contains(users.did, "replace") == patch {
				t.Errorf("it says that PATCH is %t, and is sent %v", patch, users.did)
			}
			s.does(t, "account.remove", map[string]any{"name": "bob", "reason": "left"}, nil)
			s.works(t)
			if got := is(users, "userName"); !slices.Equal(got, []string{"ada", "carol", "chief"}) {
				t.Errorf("there are %v", got)
			}
			if d := s.drift(t); !d.Whole() {
				t.Errorf("in the end it differs: %+v", d)
			}
		})
	}
}

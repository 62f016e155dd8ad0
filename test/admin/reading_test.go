package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/application"
	"countersign/internal/admin/nouns"
	"countersign/internal/admin/policy"
	"countersign/internal/prompt"
	"countersign/internal/servertest"
)

// digests are what only machines compare.
var digests = regexp.MustCompile(`[0-9a-f]{16}`)

// shownOtherwise are fields of which people read something else than their value, and why.
var shownOtherwise = map[string]string{
	"certificate.assign certificate": "what the certificate says",
	"token.import upload":            "a secret of the sender's", "token.import digest": "a digest",
	"token.assign codes": "codes that open something", "token.resync codes": "codes that open something", "token.resync received": "the server's own",
	"offline.reconcile file": "it holds secrets", "drill.record report": "it is believed by its signature",
	"application.set base": "a digest", "policy.change base": "the version that comes of it", "upstream.set base": "as policy.change",
	"pass.issue lifetime": "in hours", "site.apply file": "it may hold secrets; what it changes is told", "token.pin none": "in words",
}

// fill writes something of its own into each field, and returns it by the field's name.
func fill(v reflect.Value, marks map[string]string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		mark := fmt.Sprintf("mark%d", len(marks)+100)
		switch x := v.Field(i).Addr().Interface().(type) {
		case *admin.AuditText:
			continue // the server's own
		case *string:
			*x = mark
		case *[]string:
			*x = []string{mark}
		case *map[string]string:
			*x = map[string]string{mark: mark}
		case *bool:
			*x, mark = true, "yes"
		case *int:
			*x, mark = 7000+i, fmt.Sprint(7000+i)
		case *int64:
			*x, mark = int64(7000+i), fmt.Sprint(7000+i)
		case *json.RawMessage:
			*x = json.RawMessage(fmt.Sprintf(`{"a":{"b":%q}}`, mark))
		case *time.Time:
			*x = time.Unix(1767225600, 0)
		default:
			if f.Anonymous {
				fill(v.Field(i), marks)
				continue
			}
			panic("a field of a new type: " + f.Name)
		}
		marks[name] = mark
	}
}

// The promise: whoever approves a command reads every field that it sets. No field of any
// command is hidden, by whatever name, and no digest is shown in its place.
func TestEveryFieldIsReadBeforeItIsApproved(t *testing.T) {
	w := servertest.NewWorld(t)
	for _, spec := range nouns.Commands() {
		if spec.Reads {
			continue
		}
		cmd, marks := spec.New(), map[string]string{}
		fill(reflect.ValueOf(cmd).Elem(), marks)
		r, err := w.Admin.Reading(context.Background(), cmd)
		if err != nil {
			t.Errorf("%s cannot be read: %v", spec.Action, err)
			continue
		}
		if r.Title == "" || r.Text == "" && len(r.Fields) == 0 || r.Action != spec.Action || r.Object != cmd.Object() {
			t.Errorf("%s reads as %+v", spec.Action, r)
		}
		said := ""
		for _, f := range r.Fields {
			said += f.Name + ": " + f.Before + " -> " + f.After + "\n"
			if f.Name == "" || f.Before == "" && f.After == "" {
				t.Errorf("%s has an empty row: %+v", spec.Action, f)
			}
		}
		if d := digests.FindString(r.Text + said); d != "" {
			t.Errorf("%s shows a digest: %s", spec.Action, d)
		}
		for field, mark := range marks {
			if why := shownOtherwise[spec.Action+" "+field]; why == "" && !strings.Contains(said, mark) {
				t.Errorf("%s hides its field %s (%s):\n%s", spec.Action, field, mark, said)
			}
		}
	}
}

// row finds a row by its name.
func row(r *prompt.Reading, name string) prompt.Field {
	for _, f := range r.Fields {
		if f.Name == name {
			return f
		}
	}
	return prompt.Field{}
}

// What is there is compared with what comes, and a secret is never shown.
func TestAnApprovalSaysBeforeAndAfter(t *testing.T) {
	w := servertest.NewWorld(t)
	ctx := context.Background()
	if err := w.PlantApplications(ctx, "wiki.example.org", "kX9-Lq27-vTzp-40aM"); err != nil {
		t.Fatal(err)
	}
	wiki, err := w.Catalogue.Get(ctx, "wiki")
	if err != nil {
		t.Fatal(err)
	}
	set := &application.Set{Name: "wiki", Title: wiki.Title, Kind: wiki.Kind, Tier: "control-plane", Protocol: wiki.Protocol, Vouches: wiki.Vouches, Base: "x",
		Settings: json.RawMessage(strings.Replace(string(wiki.Settings), "wiki.example.org", "evil.example.net", 1))}
	r, err := w.Admin.Reading(ctx, set)
	if err != nil {
		t.Fatal(err)
	}
	if f := row(r, "Tier"); f.Before != "standard" || f.After != "control-plane" {
		t.Errorf("the tier reads as %+v", f)
	}
	if f := row(r, "hosts"); !strings.Contains(f.Before, "wiki.example.org") || !strings.Contains(f.After, "evil.example.net") {
		t.Errorf("the host reads as %+v among %+v", f, r.Fields)
	}
	vpn, err := w.Catalogue.Get(ctx, "vpn")
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(vpn.Settings), "kX9-Lq27-vTzp-40aM", "other-secret-of-mine-1", 1)
	if r, err = w.Admin.Reading(ctx, &application.Set{Name: "vpn", Kind: vpn.Kind, Protocol: vpn.Protocol, Base: "x", Settings: json.RawMessage(other)}); err != nil {
		t.Fatal(err)
	}
	b, _ := json.Marshal(r)
	if s := string(b); strings.Contains(s, "kX9-") || strings.Contains(s, "other-secret") || !strings.Contains(s, "another secret") {
		t.Errorf("a secret that changes reads as %s", s)
	}
	r, err = w.Admin.Reading(ctx, &policy.Change{Body: "rules:\n  - name: all\n    require: one-factor\n", Base: 1})
	if err != nil || !r.Compares() || !strings.Contains(fmt.Sprint(r.Fields), "one-factor") {
		t.Errorf("a change of the policy reads as %+v (%v)", r, err)
	}
}

// The promise: a person reads on the page what they approve, with nothing in it that is markup or
// invisible; whoever cancels is where they were, and nothing was done.
func TestAnApprovalIsReadAndCancelled(t *testing.T) {
	w := servertest.NewWorld(t)
	w.EnrollCodes("eve")
	root := w.Person()
	root.Comes("root", w.Administrator("root").Secret)
	w.Later(6 * time.Minute)
	root.Get("/console/accounts/eve")
	root.Post("/console/accounts/eve/suspend", "reason", "left\u202e <b>today</b>")
	for _, says := range []string{"<h1>Approve</h1>", `<bdi class="lines">left\u{202E} &lt;b&gt;today&lt;/b&gt;</bdi>`, `<a href="/console/accounts/eve">Cancel</a>`} {
		if !strings.Contains(root.Page, says) {
			t.Errorf("the page does not say %s:\n%s", says, root.Page)
		}
	}
	if strings.Contains(root.Page, "<b>today") || strings.Contains(root.Page, "left\u202e") {
		t.Error("a reason became markup, or hides something")
	}
	root.Get("/console/accounts/eve")
	if root.Status != 200 || w.Events("account.suspended") != 0 {
		t.Errorf("cancelling is answered %d, and %d were suspended", root.Status, w.Events("account.suspended"))
	}
}

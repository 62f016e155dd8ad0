package console

import (
	"countersign/internal/admin"
	"countersign/internal/admin/rollover"
	"countersign/internal/web/look"
)

const keysPath = "/console/signing-keys"

// keyPage is the keys by which others know what this server signed, and the steps by which one
// takes over from another.
type keyPage struct{ desk *desk }

func (p *keyPage) routes() []look.Route {
	show := func(v *visit) error { return p.show(v, nil) }
	return append([]look.Route{p.desk.page(keysPath, "rollover.show", show)}, p.desk.routes(p.forms()...)...)
}

// purposeLink is one of the kinds of keys, as a link.
type purposeLink struct {
	Href, Text string
	Here       bool
}

type keysView struct {
	Purpose  string
	Purposes []purposeLink
	Keys     []rollover.Key
}

// has reports whether a key is in a state.
func (k keysView) has(state string) bool {
	for _, key := range k.Keys {
		if key.State == state {
			return true
		}
	}
	return false
}

// Announces reports whether a next key can be announced, Switches whether one can begin to sign,
// and Retires whether one can be removed.
func (k keysView) Announces() bool { return !k.has("announced") }

// Switches is described at Announces.
func (k keysView) Switches() bool { return k.has("announced") }

// Retires is described at Announces.
func (k keysView) Retires() bool { return k.has("announced") || k.has("former") }

// Saml reports whether the keys are those that are handed over with a certificate.
func (k keysView) Saml() bool { return k.Purpose == "saml" }

// Waits reports whether a former key is there, which a removal takes first.
func (k keysView) Waits() bool { return !k.has("former") }

func (p *keyPage) show(v *visit, f *form) error {
	if f == nil {
		f = typed(v.r.URL.Query())
	}
	purpose := f.text("purpose")
	if purpose == "" {
		purpose = rollover.Purposes()[0][0]
	}
	all, err := read[[]rollover.Key](v, &rollover.Show{Purpose: purpose})
	if err != nil {
		return err
	}
	view := keysView{Purpose: purpose, Keys: all}
	for _, one := range rollover.Purposes() {
		view.Purposes = append(view.Purposes, purposeLink{keysPath + "?purpose=" + one[0], one[1], one[0] == purpose})
	}
	return v.show(sheet{template: "keys", title: "Signing keys", here: applicationsPath, problem: f.problem(), data: view})
}

func (p *keyPage) forms() []change {
	step := func(name, says string, command func(purpose string) admin.Command) change {
		back := func(f *form) string { return keysPath + "?purpose=" + escape(f.text("purpose")) }
		return change{path: keysPath + "/" + name, action: "rollover." + name, again: p.show,
			page: func(v *visit) string { return back(typed(v.r.PostForm)) },
			read: func(_ *visit, f *form) admin.Command { return command(f.text("purpose")) },
			done: func(v *visit, f *form, _ any) error { return v.done(back(f), says) }}
	}
	return []change{
		step("announce", "The next key is announced.", func(purpose string) admin.Command { return &rollover.Announce{Purpose: purpose} }),
		step("switch", "The next key signs from now on.", func(purpose string) admin.Command { return &rollover.Switch{Purpose: purpose} }),
		step("retire", "The key is gone.", func(purpose string) admin.Command { return &rollover.Retire{Purpose: purpose} }),
	}
}

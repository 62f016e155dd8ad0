package console

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"countersign/internal/admin"
	"countersign/internal/admin/signal"
	"countersign/internal/web/look"
)

const (
	signalsPath = "/console/signals"
	streamsPath = "/console/streams"
	sourcesPath = "/console/sources"
)

// signalPages are the streams on which others are told, and the sources that are heard.
type signalPages struct {
	desk *desk
}

func (p *signalPages) routes() []look.Route {
	return slices.Concat([]look.Route{
		p.desk.page(signalsPath, "stream.list", p.list),
		p.desk.page("/console/new-stream", "stream.list", func(v *visit) error {
			return p.newStream(v, filled("events", "session-revoked", "subjects", "everybody"))
		}),
		p.desk.page("/console/new-source", "source.list", func(v *visit) error { return p.newSource(v, filled("most", "100", "algorithms", "ES256")) }),
		p.desk.page(streamsPath+"/{name}", "stream.show", func(v *visit) error { return p.stream(v, nil) }),
		p.desk.page(sourcesPath+"/{name}", "source.show", func(v *visit) error { return p.source(v, nil) }),
	}, p.desk.routes(slices.Concat(p.streamForms(), p.sourceForms())...))
}

type signalsView struct {
	Streams []signal.Stream
	Sources []signal.Source
}

// Stream and Source are the addresses of the page of each.
func (signalsView) Stream(name string) string { return under(streamsPath, name) }
func (signalsView) Source(name string) string { return under(sourcesPath, name) }

func (p *signalPages) list(v *visit) error {
	streams, err := read[[]signal.Stream](v, &signal.ListStreams{})
	if err != nil {
		return err
	}
	sources, err := read[[]signal.Source](v, &signal.ListSources{})
	if err != nil {
		return err
	}
	return v.show(sheet{template: "signals", title: "Signals", here: signalsPath, data: signalsView{streams, sources}})
}

// signalForm is the form of a stream or a source.
type signalForm struct {
	*form
	// Path is where it is posted to, and New says that there is none yet.
	Path string
	New  bool
}

// Sent are the events to choose from.
func (signalForm) Sent() []choice {
	return choices("session-revoked", "A session ended", "credential-change", "An authenticator was added, changed or taken away", "assurance-level-change", "More was proved in a session", "risk-level-change", "An account is in danger, or no more",
		"account-disabled", "An account was switched off", "account-purged", "An account was removed")
}

// Heeded are those that can count.
func (signalForm) Heeded() []choice {
	return choices("session-revoked", "A session ended there", "credential-change", "An authenticator changed there", "credential-compromise", "An authenticator is in wrong hands: the account is at risk here as well", "assurance-level-change", "A session there became weaker",
		"risk-level-change", "The danger is high there: the account is at risk here as well", "account-disabled", "An account was switched off there", "account-purged", "An account was removed there")
}

// Deliveries, Formats, Subjects and Algorithms are the lists of the form.
func (signalForm) Deliveries() []choice {
	return choices("push", "It is pushed", "poll", "It is polled")
}
func (signalForm) Formats() []choice {
	return choices("account", "By the name of the account (account)", "iss_sub", "By issuer and subject, as in OpenID Connect (iss_sub)", "email", "By mail address (email)", "opaque", "By subject alone (opaque)")
}
func (signalForm) Subjects() []choice {
	return choices("everybody", "Everybody", "chosen", "Those who are added one by one")
}

func (p *signalPages) newStream(v *visit, f *form) error {
	if _, err := v.admit(&signal.ListStreams{}); err != nil {
		return err
	}
	return v.show(sheet{template: "new-stream", title: "New stream", here: signalsPath, problem: f.problem(streamFields...), data: signalForm{f, "/console/new-stream", true}})
}

func (p *signalPages) newSource(v *visit, f *form) error {
	if _, err := v.admit(&signal.ListSources{}); err != nil {
		return err
	}
	return v.show(sheet{template: "new-source", title: "New source", here: signalsPath, problem: f.problem(sourceFields...), data: signalForm{f, "/console/new-source", true}})
}

var (
	streamFields = []string{"name", "receiver", "audience", "delivery", "endpoint", "authorization", "events", "format", "subjects", "description", "status", "account"}
	sourceFields = []string{"name", "issuer", "audience", "jwks", "algorithms", "delivery", "endpoint", "authorization", "events", "domains", "externals", "tenant", "most", "status"}
)

// streamSettings are the settings that a form says.
func streamSettings(f *form) json.RawMessage {
	set := signal.Settings{Audience: words(f.text("audience")), Delivery: f.text("delivery"), Endpoint: f.text("endpoint"), Authorization: f.text("authorization"), Events: f.values["events"],
		Format: f.text("format"), Subjects: f.text("subjects"), Description: f.text("description"), Algorithm: f.text("algorithm")}
	if f.text("kept") != "" && set.Authorization == "" && set.Endpoint != "" {
		set.Authorization = admin.Hidden
	}
	b, err := json.Marshal(set)
	if err != nil {
		f.wrong("", "The settings cannot be written.")
	}
	return b
}

// sourceSettings are the settings that a form says.
func sourceSettings(f *form) json.RawMessage {
	set := signal.SourceSettings{Issuer: f.text("issuer"), Audience: f.text("audience"), JWKS: f.text("jwks"), Algorithms: words(f.text("algorithms")), Delivery: f.text("delivery"), Endpoint: f.text("endpoint"), Authorization: f.text("authorization"),
		Events: f.values["events"], Domains: words(f.text("domains")), Externals: f.text("externals"), Tenant: f.text("tenant")}
	if f.text("kept") != "" && set.Authorization == "" && set.Endpoint != "" {
		set.Authorization = admin.Hidden
	}
	if most := f.text("most"); most != "" {
		var err error
		if set.Most, err = strconv.Atoi(most); err != nil {
			f.wrong("most", "Write a number.")
		}
	}
	b, err := json.Marshal(set)
	if err != nil {
		f.wrong("", "The settings cannot be written.")
	}
	return b
}

type streamView struct {
	signal.Stream
	Path string
	Form signalForm
}

func (p *signalPages) stream(v *visit, f *form) error {
	one, err := read[signal.Stream](v, &signal.ShowStream{Name: v.r.PathValue("name")})
	if err != nil {
		return err
	}
	path := under(streamsPath, one.Name)
	if f == nil {
		f = streamForm(one)
	}
	return v.show(sheet{template: "stream", title: "Stream", here: signalsPath, problem: f.problem(streamFields...), data: streamView{one, path, signalForm{f, path + "/update", false}}})
}

// streamForm is the form of a stream as it is.
func streamForm(one signal.Stream) *form {
	s := one.Settings
	f := filled("audience", strings.Join(s.Audience, " "), "delivery", s.Delivery, "endpoint", s.Endpoint, "kept", s.Authorization, "format", s.Format, "subjects", s.Subjects, "description", s.Description, "algorithm", s.Algorithm)
	f.values["events"] = s.Events
	return f
}

type sourceView struct {
	signal.Source
	Path string
	Form signalForm
}

func (p *signalPages) source(v *visit, f *form) error {
	one, err := read[signal.Source](v, &signal.ShowSource{Name: v.r.PathValue("name")})
	if err != nil {
		return err
	}
	return p.showSource(v, one, f)
}

// showSource shows a source, this once with the secret that it was given.
func (p *signalPages) showSource(v *visit, one signal.Source, f *form) error {
	path := under(sourcesPath, one.Name)
	if f == nil {
		s := one.Settings
		f = filled("issuer", s.Issuer, "audience", s.Audience, "jwks", s.JWKS, "algorithms", strings.Join(s.Algorithms, " "), "delivery", s.Delivery, "endpoint", s.Endpoint, "kept", s.Authorization,
			"domains", strings.Join(s.Domains, " "), "externals", s.Externals, "tenant", s.Tenant, "most", strconv.Itoa(s.Most))
		f.values["events"] = s.Events
	}
	return v.show(sheet{template: "source", title: "Source", here: signalsPath, problem: f.problem(sourceFields...), data: sourceView{one, path, signalForm{f, path + "/update", false}}})
}

func (p *signalPages) streamForms() []change {
	name := func(v *visit) string { return v.r.PathValue("name") }
	own := func(v *visit) string { return under(streamsPath, name(v)) }
	back := func(note string) func(v *visit, f *form, answer any) error {
		return func(v *visit, _ *form, _ any) error { return v.done(own(v), note) }
	}
	one := func(action, note string, read func(v *visit, f *form) admin.Command) change {
		return change{path: streamsPath + "/{name}" + "/" + action[strings.IndexByte(action, '.')+1:], action: action, page: own, again: p.stream, read: read, done: back(note)}
	}
	return []change{
		{path: "/console/new-stream", action: "stream.create", page: func(*visit) string { return "/console/new-stream" }, again: p.newStream,
			read: func(_ *visit, f *form) admin.Command {
				return &signal.CreateStream{Name: f.must("name", "Every stream needs a name."), Receiver: f.text("receiver"), Settings: streamSettings(f)}
			},
			done: func(v *visit, _ *form, answer any) error {
				return v.done(under(streamsPath, answer.(signal.Stream).Name), "The stream was made. Send a verification to see that its receiver takes it.")
			}},
		one("stream.update", "The stream was changed.", func(v *visit, f *form) admin.Command {
			return &signal.UpdateStream{Name: name(v), Settings: streamSettings(f)}
		}),
		one("stream.set-status", "The state of the stream was changed.", func(v *visit, f *form) admin.Command {
			return &signal.SetStatus{Name: name(v), Status: f.must("status", "Choose a state."), Reason: f.text("reason")}
		}),
		one("stream.verify", "A verification is on its way. Load this page again to see whether its receiver took it.", func(v *visit, _ *form) admin.Command {
			return &signal.Verify{Name: name(v)}
		}),
		one("stream.add-subject", "The stream tells of them.", func(v *visit, f *form) admin.Command {
			return &signal.AddSubject{Name: name(v), Account: f.must("account", "Write the name of an account.")}
		}),
		one("stream.remove-subject", "The stream is silent about them.", func(v *visit, f *form) admin.Command {
			return &signal.RemoveSubject{Name: name(v), Account: f.must("account", "Write the name of an account.")}
		}),
		{path: streamsPath + "/{name}/remove", action: "stream.remove", page: own, again: p.stream,
			read: func(v *visit, _ *form) admin.Command { return &signal.RemoveStream{Name: name(v)} },
			done: func(v *visit, _ *form, _ any) error { return v.done(signalsPath, "The stream was removed.") }},
	}
}

func (p *signalPages) sourceForms() []change {
	name := func(v *visit) string { return v.r.PathValue("name") }
	own := func(v *visit) string { return under(sourcesPath, name(v)) }
	shown := func(v *visit, _ *form, answer any) error { // with a secret that it was given
		one := answer.(signal.Source)
		if one.Secret == "" {
			return v.done(under(sourcesPath, one.Name), "The source was changed.")
		}
		return p.showSource(v, one, nil)
	}
	return []change{
		{path: "/console/new-source", action: "source.create", page: func(*visit) string { return "/console/new-source" }, again: p.newSource, done: shown,
			read: func(_ *visit, f *form) admin.Command {
				return &signal.CreateSource{Name: f.must("name", "Every source needs a name."), Settings: sourceSettings(f)}
			}},
		{path: sourcesPath + "/{name}/update", action: "source.update", page: own, again: p.source, done: shown,
			read: func(v *visit, f *form) admin.Command {
				return &signal.UpdateSource{Name: name(v), Settings: sourceSettings(f)}
			}},
		{path: sourcesPath + "/{name}/renew", action: "source.renew", page: own, again: p.source, done: shown,
			read: func(v *visit, _ *form) admin.Command { return &signal.RenewSource{Name: name(v)} }},
		{path: sourcesPath + "/{name}/set-status", action: "source.set-status", page: own, again: p.source, done: shown,
			read: func(v *visit, f *form) admin.Command {
				return &signal.SetHeard{Name: name(v), Status: f.must("status", "Choose a state."), Reason: f.text("reason")}
			}},
		{path: sourcesPath + "/{name}/remove", action: "source.remove", page: own, again: p.source,
			read: func(v *visit, _ *form) admin.Command { return &signal.RemoveSource{Name: name(v)} },
			done: func(v *visit, _ *form, _ any) error {
				return v.done(signalsPath, "The source was removed. Nothing that it says is heard any more.")
			}},
	}
}

// Kept is a hint about a secret that may be stored already.
func (f signalForm) Kept(help string) string {
	if f.text("kept") != "" {
		return help + " One is stored; left empty, it stays for the same address."
	}
	return help
}

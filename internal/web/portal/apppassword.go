package portal

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/protocol"
	"countersign/internal/session"
	"countersign/internal/signin"
)

// devicesPath is the page of app passwords.
const devicesPath = "/account/app-passwords"

// devices are the pages on which a person makes app passwords, and ends them.
type devices struct {
	frame *frame
	doors *protocol.Doors
	made  *enrollment.AppPasswords
}

// device is an app password that is there.
type device struct {
	ID            int64
	Label         string
	Title         string // of the application
	Service       language.Sentence
	Created, Used time.Time
}

type choice struct {
	Value   string
	Title   string
	Service language.Sentence
}

type devicesView struct {
	Devices []device
	Choices []choice
	// Label and For are what was typed before.
	Label, For string
}

type deviceView struct {
	Label, Title, Name string
	Service            language.Sentence
	// Secret is the app password. It is on this page, and on no other.
	Secret string
}

// serviceWords are what services are called.
var serviceWords = map[string]language.Sentence{
	"imap":  language.Say("reading mail (IMAP)"),
	"pop3":  language.Say("fetching mail (POP3)"),
	"smtp":  language.Say("sending mail (SMTP)"),
	"sieve": language.Say("mail filters (ManageSieve)"),
}

func serviceWord(service string) language.Sentence {
	if words, known := serviceWords[service]; known {
		return words
	}
	return language.Say("%s", service)
}

func (d *devices) show(w http.ResponseWriter, r *http.Request) error {
	return d.showWith(w, r, url.Values{}, language.Sentence{})
}

func (d *devices) showWith(w http.ResponseWriter, r *http.Request, typed url.Values, problem language.Sentence) error {
	g, ok, err := d.frame.inside(w, r)
	if !ok {
		return err
	}
	v, err := d.view(r, g)
	if err != nil {
		return err
	}
	v.Label, v.For = typed.Get("label"), typed.Get("for")
	page := d.frame.page(g, "app-passwords", "App passwords", v)
	if !problem.IsZero() {
		page.Problem, page.Status = problem, http.StatusBadRequest
	}
	return d.frame.pages.Render(w, r, page)
}

func (d *devices) view(r *http.Request, g signin.Grant) (v devicesView, err error) {
	doors, err := d.doors.Devices(r.Context(), g)
	if err != nil {
		return v, err
	}
	titles := map[string]string{}
	for _, door := range doors {
		titles[door.Name] = door.Title
		for _, s := range door.Services {
			v.Choices = append(v.Choices, choice{door.Name + "/" + s, door.Title, serviceWord(s)})
		}
	}
	all, err := d.frame.listing.List(r.Context(), g.Account())
	if err != nil {
		return v, err
	}
	for _, a := range all {
		if !a.AppPassword() {
			continue
		}
		one := device{ID: int64(a.ID), Label: a.Label, Title: a.Application, Service: serviceWord(a.Service), Created: a.Created, Used: a.Used}
		if t := titles[a.Application]; t != "" {
			one.Title = t
		}
		v.Devices = append(v.Devices, one)
	}
	return v, nil
}

var (
	nameTheDevice = language.Say("Write what you call the device, such as: telephone.")
	notTaken      = language.Say("Choose what the app password is for.")
)

// make begins an app password with what was posted, once the person has proved themselves.
func (p *Portal) makeAppPassword(w http.ResponseWriter, r *http.Request) error {
	g, ok, err := p.frame.inside(w, r)
	if !ok {
		return err
	}
	f := r.PostForm
	label := enrollment.CleanLabel(f.Get("label"), "")
	if label == "" {
		return p.devices.showWith(w, r, f, nameTheDevice)
	}
	door, service, err := p.devices.chosen(r, g, f.Get("for"))
	if failure.ClassOf(err) == failure.Invalid {
		return p.devices.showWith(w, r, f, notTaken)
	}
	if err != nil {
		return err
	}
	says := language.Say("Make an app password for %q: %s, %s", language.Word(label), language.Word(door.Title), serviceWord(service))
	return p.prove(w, r, session.Continuation{Action: enrollment.Enroll, Object: signin.MakingAppPassword(door.Name, service, label),
		Form: url.Values{"label": {label}, "for": {door.Name + "/" + service}}, Says: says.String(), Told: p.frame.look.Language(r).Tell(says)})
}

// chosen is the service of an application that somebody chose, if they may make an app password for it.
func (d *devices) chosen(r *http.Request, g signin.Grant, which string) (protocol.DeviceDoor, string, error) {
	doors, err := d.doors.Devices(r.Context(), g)
	if err != nil {
		return protocol.DeviceDoor{}, "", err
	}
	for _, door := range doors {
		i := slices.IndexFunc(door.Services, func(s string) bool { return door.Name+"/"+s == which })
		if i >= 0 {
			return door, door.Services[i], nil
		}
	}
	return protocol.DeviceDoor{}, "", failure.New(failure.Invalid, "%s", notTaken)
}

// handOut makes an app password under a grant for exactly that, and shows it, once.
func (d *devices) handOut(w http.ResponseWriter, r *http.Request, g signin.Grant, e session.Continuation) error {
	door, service, err := d.chosen(r, g, e.Form.Get("for"))
	if err != nil {
		return err
	}
	label := e.Form.Get("label")
	secret, err := d.made.Make(r.Context(), g, enrollment.AppPasswordTerms{Application: door.Name, Service: service, Device: label, Of: door.Title})
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return d.frame.render(w, r, g, "app-password", "Your new app password", deviceView{Label: label, Title: door.Title, Service: serviceWord(service), Name: g.Name(), Secret: secret})
}

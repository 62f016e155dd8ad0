package signal

import (
	"context"
	"slices"
	"strings"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/secevent"
)

// subject finds whom a source means; 0 is nobody here, or somebody of whom it may not speak. A
// subject that means two people means nobody.
func (h *Hearing) subject(ctx context.Context, one Source, s secevent.Subject) (assurance.AccountID, error) {
	if s.Format == secevent.Complex {
		if s.User == nil || !one.speaksFor(s) {
			return 0, nil
		}
		s = *s.User
	}
	all := []secevent.Subject{s}
	if s.Format == secevent.Aliases {
		all = s.Identifiers
	}
	var found assurance.AccountID
	for _, name := range all {
		id, err := h.called(ctx, one, name)
		switch {
		case err != nil:
			return 0, err
		case id == 0:
			continue
		case found != 0 && found != id:
			return 0, nil
		}
		found = id
	}
	return found, nil
}

// speaksFor reports whether a complex subject is of the source's own tenant. A member that nobody
// here can read, such as a device, narrows what is meant to less than a person: what ends then is
// more than was asked for, and never less.
func (s Source) speaksFor(of secevent.Subject) bool {
	if of.Tenant == nil {
		return true
	}
	return s.Tenant != "" && of.Tenant.Format == secevent.Opaque && of.Tenant.ID == s.Tenant
}

// called finds whom one identifier names.
func (h *Hearing) called(ctx context.Context, one Source, s secevent.Subject) (assurance.AccountID, error) {
	switch s.Format {
	case secevent.Email:
		if domain, ok := secevent.SplitEmail(s.Email); ok && slices.Contains(one.Domains, domain) {
			return h.withMail(ctx, s.Email)
		}
	case secevent.Account:
		if name, host, ok := secevent.SplitAccount(s.URI); ok && slices.Contains(one.Domains, host) {
			return h.withName(ctx, name)
		}
	case secevent.IssSub:
		if s.Iss == one.Issuer && one.Externals != 0 {
			return h.withExternal(ctx, one, s.Sub)
		}
	}
	return 0, nil
}

// withMail finds the one who has a confirmed address.
func (h *Hearing) withMail(ctx context.Context, address string) (assurance.AccountID, error) {
	all, err := h.roll.WithMail(ctx, h.db, address, 2)
	if err != nil || len(all) != 1 {
		return 0, err
	}
	return all[0].ID, nil
}

func (h *Hearing) withName(ctx context.Context, name string) (assurance.AccountID, error) {
	if strings.TrimSpace(name) == "" {
		return 0, nil
	}
	d, err := h.people.Find(ctx, h.db, name)
	if class := failure.ClassOf(err); err != nil && (class == failure.NotFound || class == failure.Invalid) {
		return 0, nil
	}
	if err != nil || d.Kind != directory.Person {
		return 0, err
	}
	return d.ID, nil
}

func (h *Hearing) withExternal(ctx context.Context, one Source, sub string) (assurance.AccountID, error) {
	if directory.CheckExternal(sub) != nil {
		return 0, nil
	}
	all, err := h.externals.Find(ctx, h.db, one.Externals, directory.ExternalUser, sub, 2)
	if err != nil || len(all) != 1 {
		return 0, err
	}
	return assurance.AccountID(all[0]), nil
}

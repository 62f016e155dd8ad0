package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"countersign/internal/drill"
)

// bearer is the stolen session of an administrator whose passkey counts for everything: ten minutes
// later it adds a friend to the administrators, and must be told to show more (RFC 9470 section 3).
func (s administration) bearer(ctx context.Context, p *drill.Play, friend *drill.Canary) ([]drill.Try, error) {
	owner, err := p.Enroll(ctx)
	if err != nil {
		return nil, err
	}
	p.Bed.Later(matured)
	secret, err := s.login(ctx, p, owner)
	if err != nil || secret == "" {
		return nil, errors.Join(errors.New("somebody could not sign in on a terminal"), err)
	}
	if err := promote(ctx, p, owner); err != nil {
		return nil, err
	}
	p.Bed.Later(10 * time.Minute)
	const name = "adding an administrator by the API with the bearer of one who has a passkey, ten minutes old"
	r, err := s.call(ctx, p, "commands/group.member.add", secret, map[string]string{"group": "administrators", "account": friend.Name}, nil)
	told := r.status == http.StatusUnauthorized && strings.Contains(r.demands, `error="insufficient_user_authentication"`)
	return []drill.Try{added(ctx, p, name, friend, r.words, err), r.tried(p, name+": it is not told to show more (RFC 9470)", err == nil && !told, err)}, nil
}

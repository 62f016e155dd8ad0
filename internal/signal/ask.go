package signal

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"countersign/internal/failure"
	"countersign/internal/secevent"
)

// mostAsked is how often a source is asked in a row: one that always has more has its turn again
// later.
const mostAsked = 10

// Ask polls each source once that is due, all side by side.
func (h *Hearing) Ask(ctx context.Context) error {
	all, err := h.sources.All(ctx)
	if err != nil {
		return err
	}
	errs := make([]error, len(all))
	var workers sync.WaitGroup
	for i, one := range all {
		if one.Delivery == Poll && one.Status == Enabled {
			workers.Go(func() { errs[i] = h.ask(ctx, one) })
		}
	}
	workers.Wait()
	return errors.Join(errs...)
}

// ask polls a source until it has nothing more. An error is one of ours; that it cannot be asked is
// kept.
func (h *Hearing) ask(ctx context.Context, one Source) error {
	e := h.ear(one.Name)
	h.mu.Lock()
	due := !h.now().Before(e.until)
	h.mu.Unlock()
	if !due {
		return nil
	}
	for range mostAsked {
		more, err := h.askOnce(ctx, one, e)
		h.took(e, err)
		if err != nil && failure.ClassOf(err) != failure.Unavailable {
			return err
		}
		if err != nil || !more {
			return nil
		}
	}
	return nil
}

// took takes down how asking went.
func (h *Hearing) took(e *ear, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		e.problem, e.pause, e.until = "", 0, time.Time{}
		return
	}
	e.problem, e.pause = failure.Public(err), min(max(2*e.pause, firstPause), longestPause)
	e.until = h.now().Add(e.pause)
}

// question is a poll (RFC 8936 section 2.4).
type question struct {
	Most        int                `json:"maxEvents"`
	Immediately bool               `json:"returnImmediately"`
	Ack         []string           `json:"ack,omitempty"`
	Errors      map[string]refusal `json:"setErrs,omitempty"`
}

type refusal struct {
	Err         string `json:"err"`
	Description string `json:"description"`
}

// askOnce sends one poll with what is acknowledged, and hears what comes.
func (h *Hearing) askOnce(ctx context.Context, one Source, e *ear) (more bool, err error) {
	q := question{Most: MostPolled / 2, Immediately: true, Ack: e.has, Errors: e.errs}
	body, err := json.Marshal(q)
	if err != nil {
		return false, err
	}
	header := map[string]string{"Content-Type": "application/json", "Accept": "application/json"}
	if one.Authorization != "" {
		header["Authorization"] = one.Authorization
	}
	got, err := h.caller.do(ctx, call{http.MethodPost, one.Endpoint, header, body})
	if err != nil {
		return false, err
	}
	if got.status != http.StatusOK {
		return false, got.refused(one.Endpoint)
	}
	var said struct {
		Sets map[string]string `json:"sets"`
		More bool              `json:"moreAvailable"`
	}
	if err := json.Unmarshal(got.body, &said); err != nil || len(said.Sets) > MostPolled {
		return false, failure.New(failure.Unavailable, "The answer of the source is no answer to a poll, or has more than %d tokens.", MostPolled)
	}
	e.has, e.errs = nil, nil
	if err := h.all(ctx, one, e, said.Sets); err != nil {
		return false, err
	}
	return len(said.Sets) > 0, nil // once more at least, to acknowledge
}

// all hears the tokens of an answer, in the order of their names. What was heard is acknowledged
// with the next poll, and what cannot be taken is refused with it.
func (h *Hearing) all(ctx context.Context, one Source, e *ear, sets map[string]string) error {
	for _, id := range slices.Sorted(maps.Keys(sets)) {
		err := h.hear(ctx, one, sets[id])
		var fault *secevent.Fault
		switch {
		case errors.As(err, &fault):
			if e.errs == nil {
				e.errs = map[string]refusal{}
			}
			e.errs[id] = refusal{fault.Code, fault.Says}
		case err != nil:
			return err // it comes again
		default:
			e.has = append(e.has, id)
		}
	}
	return nil
}

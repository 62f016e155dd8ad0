package provision

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/store"
)

// user makes of a person in the application what is to be.
func (j *job) user(ctx context.Context, e Entry) error {
	a, want, err := j.people.wanted(ctx, e.Subject, j.mayUse)
	if err != nil {
		return err
	}
	switch {
	case want == present:
		return j.send(ctx, e, a, true)
	case want == asleep && e.Remote != "":
		return j.send(ctx, e, a, false)
	case e.Remote == "": // and so nothing of ours is there
		return j.queue.drop(ctx, e)
	case want == away || want == barred && j.target.Leavers == Delete:
		return j.end(ctx, e, a, true)
	case want == barred && e.Active:
		return j.end(ctx, e, a, false)
	}
	return j.settled(ctx, e)
}

// send makes or changes a person there.
func (j *job) send(ctx context.Context, e Entry, a directory.Account, active bool) error {
	u := userOf(a, active)
	digest, err := digestOf(u)
	if err != nil {
		return err
	}
	if e.Remote != "" && e.Sent == digest {
		e.State = StateThere
		return j.settled(ctx, e)
	}
	did := changedEvent
	if e.Remote == "" {
		if e.Remote, did, err = j.make(ctx, u); err != nil {
			return err
		}
	}
	if did == changedEvent {
		if err := j.change(ctx, e.Remote, u); err != nil {
			return j.lost(ctx, e, err)
		}
	}
	switch {
	case did == changedEvent && e.Active && !active:
		did = deactivatedEvent
	case did == changedEvent && !e.Active && active && e.Sent != "":
		did = activatedEvent
	}
	fresh := e.State != StateThere
	e.State, e.Name, e.Sent, e.Active, e.ended = StateThere, u.UserName, digest, active, 0
	if err := j.kept(ctx, e, did, a.Name); err != nil {
		return err
	}
	if !fresh {
		return nil
	}
	return j.join(ctx, a) // their groups can name them now
}

// make looks for somebody of that name, and makes them where nobody is: then did is createdEvent.
func (j *job) make(ctx context.Context, u userResource) (id, did string, err error) {
	found, err := j.line.client.find(ctx, usersAt, "userName", u.UserName)
	if err != nil || found.ID != "" {
		return found.ID, changedEvent, err
	}
	var made resource
	err = j.line.client.call(ctx, http.MethodPost, usersAt, u, &made)
	if statusOf(err) == http.StatusConflict { // somebody was faster, or no filter finds them
		if found, err2 := j.line.client.find(ctx, usersAt, "userName", u.UserName); err2 == nil && found.ID != "" {
			return found.ID, changedEvent, nil
		}
	}
	if err == nil && made.ID == "" {
		err = &answerError{status: http.StatusCreated, says: "what was made has no id."}
	}
	return made.ID, createdEvent, err
}

// change makes somebody there what is sent: by PATCH where the application says that it takes one,
// else by PUT.
func (j *job) change(ctx context.Context, id string, u userResource) error {
	can, err := j.line.client.abilities(ctx)
	if err != nil {
		return err
	}
	if can.patch {
		return j.line.client.call(ctx, http.MethodPatch, at(usersAt, id), u.patched(), nil)
	}
	u.ID = id
	return j.line.client.call(ctx, http.MethodPut, at(usersAt, id), u, nil)
}

// lost has something made anew at once that is there no more.
func (j *job) lost(ctx context.Context, e Entry, err error) error {
	if statusOf(err) != http.StatusNotFound {
		return err
	}
	if e.tries > 0 { // it is not found twice in a row
		return err
	}
	e.Remote, e.Sent, e.Active, e.State, e.tries = "", "", false, StateWaiting, e.tries+1
	return j.queue.later(ctx, e, j.now())
}

// join marks the groups of somebody who is there now.
func (j *job) join(ctx context.Context, a directory.Account) error {
	in := map[string]bool{}
	for _, g := range j.target.Groups {
		in[g] = true
	}
	return j.db.Housekeep(ctx, "provision.mark", func(tx *store.Tx) error {
		for _, g := range a.Joined() {
			if in[g.Name] {
				if err := j.queue.markTx(ctx, tx, j.target.Application, KindGroup, g.ID); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// end deletes or deactivates somebody who may not use the application any more, unless that is
// more than the share.
func (j *job) end(ctx context.Context, e Entry, a directory.Account, remove bool) error {
	j.ending.Lock()
	defer j.ending.Unlock()
	now := j.now()
	ended, there, err := j.queue.endedSince(ctx, j.target.Application, now.Add(-shareWindow))
	if err != nil {
		return err
	}
	most := max(1, (there+ended)*j.target.share()/100)
	if now.Sub(j.target.ApprovedAt) < shareWindow {
		most += j.target.Approved
	}
	if ended >= most {
		return j.hold(ctx, e, most)
	}
	did := deactivatedEvent
	if remove {
		did = deletedEvent
		err = j.line.client.call(ctx, http.MethodDelete, at(usersAt, e.Remote), nil, nil)
		if statusOf(err) == http.StatusNotFound {
			err = nil
		}
	} else {
		u := userOf(a, false)
		if err = j.change(ctx, e.Remote, u); statusOf(err) == http.StatusNotFound {
			err, remove = nil, true
		}
		if e.Sent, _ = digestOf(u); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	name := a.Name
	if name == "" {
		name = e.Name
	}
	e.ended, e.Active, e.State = store.Unix(now), false, StateThere
	if remove {
		e.Sent, e.State = "", StateGone
	}
	return j.gone(ctx, e, did, name)
}

// gone keeps that somebody was ended there. Of whom nothing is there, no id is kept.
func (j *job) gone(ctx context.Context, e Entry, did, name string) error {
	id := e.Remote
	if e.State == StateGone {
		e.Remote, e.Name = "", ""
	}
	e.tries, e.Problem = 0, ""
	return j.db.Change(ctx, audit.System(actor), func(tx *store.Tx) error {
		if err := j.queue.write(ctx, tx, e, 0); err != nil {
			return err
		}
		en := entryOf(did, audit.OK, j.target.Application, map[string]string{"id": id})
		en.Account, en.AccountName = e.Subject, name
		return tx.Record(en)
	})
}

// hold keeps that somebody is not ended before an approval, and raises an alarm once.
func (j *job) hold(ctx context.Context, e Entry, most int) error {
	e.State, e.Problem, e.tries = StateHeld, "", 0
	if err := j.queue.later(ctx, e, time.Time{}); err != nil {
		return err
	}
	j.mu.Lock()
	tell := !j.line.held
	j.line.held = true
	j.mu.Unlock()
	if !tell {
		return nil
	}
	return j.record(ctx, entryOf(heldEvent, audit.Failed, j.target.Application, map[string]string{"most": strconv.Itoa(most)}))
}

// group makes of a group in the application what is to be.
func (j *job) group(ctx context.Context, e Entry) error {
	g, wanted, err := j.people.group(ctx, j.target, e.Subject)
	if err != nil {
		return err
	}
	if !wanted {
		return j.dissolve(ctx, e)
	}
	members, err := j.members(ctx, g)
	if err != nil {
		return err
	}
	name := called(g)
	if e.Remote == "" {
		return j.found(ctx, e, g, groupResource{Schemas: []string{groupSchema}, External: strconv.FormatInt(g.ID, 10), Display: name, Members: members})
	}
	changed, err := j.regroup(ctx, e.Remote, name, members)
	if err != nil {
		return j.lost(ctx, e, err)
	}
	e.State, e.Name = StateThere, name
	if !changed {
		return j.settled(ctx, e)
	}
	return j.kept(ctx, e, changedEvent, g.Name)
}

// found looks for a group of that name, and makes it where there is none.
func (j *job) found(ctx context.Context, e Entry, g directory.Group, want groupResource) error {
	there, err := j.line.client.find(ctx, groupsAt, "displayName", want.Display)
	if err != nil {
		return err
	}
	e.State, e.Name = StateThere, want.Display
	if there.ID != "" {
		e.Remote = there.ID
		if _, err := j.regroup(ctx, e.Remote, want.Display, want.Members); err != nil {
			return err
		}
		return j.kept(ctx, e, changedEvent, g.Name)
	}
	var made resource
	if err := j.line.client.call(ctx, http.MethodPost, groupsAt, want, &made); err != nil {
		return err
	}
	if made.ID == "" {
		return &answerError{status: http.StatusCreated, says: "what was made has no id."}
	}
	e.Remote = made.ID
	return j.kept(ctx, e, createdEvent, g.Name)
}

// dissolve removes a group that is not to be there any more; its people stay.
func (j *job) dissolve(ctx context.Context, e Entry) error {
	if e.Remote == "" {
		return j.queue.drop(ctx, e)
	}
	err := j.line.client.call(ctx, http.MethodDelete, at(groupsAt, e.Remote), nil, nil)
	if err != nil && statusOf(err) != http.StatusNotFound {
		return err
	}
	name := e.Name
	e.State, e.ended, e.Remote, e.Name = StateGone, store.Unix(j.now()), "", ""
	return j.kept(ctx, e, deletedEvent, name)
}

// members are the people of a group who are in the application and active.
func (j *job) members(ctx context.Context, g directory.Group) ([]remoteMember, error) {
	out := []remoteMember{}
	for after := int64(0); ; {
		all, last, read, err := j.people.groups.MembersAfter(ctx, j.people.view, g, accountID(after), pageRows)
		if err != nil {
			return nil, err
		}
		for _, a := range all {
			if want := j.people.wishOf(a, j.mayUse); want != present && want != asleep {
				continue
			}
			e, err := j.queue.get(ctx, j.target.Application, KindUser, int64(a.ID))
			if err == nil && e.Remote != "" {
				out = append(out, remoteMember{e.Remote})
			} else if err != nil && !isNone(err) {
				return nil, err
			}
		}
		if after = int64(last); read < pageRows {
			return out, nil
		}
	}
}

// mostMembers is how many members one PATCH adds or removes.
const mostMembers = 100

// regroup makes a group there have this name and these members, and reports whether that was a
// change.
func (j *job) regroup(ctx context.Context, id, name string, members []remoteMember) (bool, error) {
	c := j.line.client
	can, err := c.abilities(ctx)
	if err != nil {
		return false, err
	}
	var there resource
	if err := c.call(ctx, http.MethodGet, at(groupsAt, id), nil, &there); err != nil {
		return false, err
	}
	join, leave := difference(there.Members, members)
	if len(join) == 0 && len(leave) == 0 && there.Display == name {
		return false, nil
	}
	if !can.patch {
		return true, c.call(ctx, http.MethodPut, at(groupsAt, id), groupResource{Schemas: []string{groupSchema}, ID: id, External: there.External, Display: name, Members: members}, nil)
	}
	ops := []map[string]any{}
	if there.Display != name {
		ops = append(ops, map[string]any{"op": "replace", "path": "displayName", "value": name})
	}
	for len(join) > 0 {
		n := min(len(join), mostMembers)
		ops = append(ops, map[string]any{"op": "add", "path": "members", "value": join[:n]})
		join = join[n:]
	}
	for _, m := range leave {
		ops = append(ops, map[string]any{"op": "remove", "path": `members[value eq ` + quoted(m.Value) + `]`})
	}
	for len(ops) > 0 {
		n := min(len(ops), mostMembers)
		if err := c.call(ctx, http.MethodPatch, at(groupsAt, id), map[string]any{"schemas": []string{patchSchema}, "Operations": ops[:n]}, nil); err != nil {
			return false, err
		}
		ops = ops[n:]
	}
	return true, nil
}

// difference is who is to join and who is to leave.
func difference(are, wanted []remoteMember) (join, leave []remoteMember) {
	is, want := map[string]bool{}, map[string]bool{}
	for _, m := range are {
		is[m.Value] = true
	}
	for _, m := range wanted {
		want[m.Value] = true
		if !is[m.Value] {
			join = append(join, m)
		}
	}
	for _, m := range are {
		if !want[m.Value] {
			leave = append(leave, m)
		}
	}
	return join, leave
}

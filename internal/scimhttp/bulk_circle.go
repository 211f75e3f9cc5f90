package scimhttp

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/muster-id/muster/internal/store"
)

// A circle are creations that refer to one another: each is created without
// what is not there yet, and then completed (RFC 7644 §3.7.1). Either all of
// them are done or none is. Everybody in it is new: who was out would be in before
// the circle is complete, and would stay in if it could not be undone.
type circle struct {
	*job
	members []int
	made    map[int]outcome
}

// circle does the creations that refer to one another. Groups alone can only be
// members of one another, which no group may be (design §4): they are refused
// before any is there.
func (j *job) circle(members []int) {
	c := circle{j, members, map[int]outcome{}}
	if !slices.ContainsFunc(members, func(i int) bool { return j.request.Operations[i].Path != j.call.dir.GroupType().Endpoint }) {
		for _, i := range members {
			j.fail(i, errCircle)
		}
		return
	}
	failed, err := c.create()
	if err == nil {
		failed, err = c.complete()
	}
	if err != nil {
		c.undo(failed, err)
		return
	}
	for _, i := range members {
		j.succeed(i, c.made[i])
	}
}

// create creates all of them, or answers which one could not be.
func (c circle) create() (failed int, err error) {
	for _, i := range c.members {
		if c.call.late() {
			return i, errLate
		}
		t, err := c.task(i)
		if err != nil {
			return i, err
		}
		if t.endpoint.rt == c.call.dir.UserType() {
			t.endpoint.create = createNewUser
		}
		if c.made[i], err = do(c.part(i), t); err != nil {
			delete(c.made, i)
			return i, err
		}
		c.ids[c.request.Operations[i].BulkID] = c.made[i].resource.id
	}
	return 0, nil
}

// complete replaces them by what was sent, now that all of them have ids.
func (c circle) complete() (failed int, err error) {
	for _, i := range c.members {
		t, err := c.task(i)
		if err != nil {
			return i, err
		}
		made := c.made[i]
		t.method, t.id = http.MethodPut, made.resource.id
		t.ifMatch = made.resource.etag() // what others did to it since is not overwritten
		done, err := do(c.open(i, again, t.method, made.resource.location("")), t)
		if err != nil {
			return i, err
		}
		done.status = made.status
		c.made[i] = done
	}
	return 0, nil
}

// undoTime is how long it is tried to take a circle back: as long as a request may
// take to make one.
const undoTime = 30 * time.Second

// undo takes back what was created, the latest first, also where the client has gone,
// and refuses all of them. Each answer speaks of its own creation only: what became of
// another may not be known.
func (c circle) undo(failed int, cause error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.call.context()), undoTime)
	defer cancel()
	for _, i := range slices.Backward(c.members) {
		why := error(refuse(http.StatusConflict, "the creations that refer to one another in a circle could not all be done: this one was not"))
		if i == failed {
			why = cause
		}
		if made, ok := c.made[i]; ok && !c.takeBack(ctx, i, made) {
			why = refuse(http.StatusServiceUnavailable, "it was created without its references and could not be taken back: delete %s, then send it again",
				made.resource.location(c.call.base()))
		}
		delete(c.ids, c.request.Operations[i].BulkID)
		c.fail(i, why)
	}
}

// takeBack deletes what a creation has made, and tries again where that cannot be
// done for the moment, until ctx ends. It reports whether that is gone; somebody else
// may have deleted it.
func (c circle) takeBack(ctx context.Context, i int, made outcome) bool {
	e, _, err := c.call.target(c.request.Operations[i].Path)
	if err != nil {
		return false
	}
	t := task{e, http.MethodDelete, operation{id: made.resource.id, view: view{rt: e.rt}}}
	part := c.open(i, undo, t.method, made.resource.location(""))
	part.request = part.request.WithContext(ctx)
	for {
		_, err = do(part, t)
		if !passing(err) {
			return err == nil || errors.Is(err, store.ErrNotFound)
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(undoPause):
		}
	}
}

// undoPause is between two tries.
const undoPause = 100 * time.Millisecond

// passing reports whether err says that nothing was done and that the same may be
// done a moment later.
func passing(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrBusy) || errors.Is(err, store.ErrRedeclared)
}

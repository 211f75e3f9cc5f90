package scimhttp

import (
	"context"
	"net/http"
	"slices"
)

// A circle are creations that refer to one another: each is created without
// what is not there yet, and then completed (RFC 7644 §3.7.1). Either all of
// them are done or none is.
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
		done.status, done.existed = made.status, made.existed
		c.made[i] = done
	}
	return 0, nil
}

// undo takes back what was created, the latest first, and refuses all of them.
func (c circle) undo(failed int, cause error) {
	for _, i := range slices.Backward(c.members) {
		why := error(refuse(http.StatusConflict, "the creations that this one and others refer to in a circle could not all be done: none was"))
		if i == failed {
			why = cause
		}
		if made, ok := c.made[i]; ok {
			if err := c.takeBack(i, made); err != nil {
				why = err
			}
		}
		delete(c.ids, c.request.Operations[i].BulkID)
		c.fail(i, why)
	}
}

// takeBack deletes what a creation has made. A person whom it has reactivated
// is deactivated again. It is done also where the client has gone.
func (c circle) takeBack(i int, made outcome) error {
	e, _, err := c.call.target(c.request.Operations[i].Path)
	if err != nil {
		return err
	}
	t := task{e, http.MethodDelete, operation{id: made.resource.id, view: view{rt: e.rt}}}
	if made.existed {
		t.method, t.body = http.MethodPatch, []byte(deactivation)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.call.context()), longestOperation)
	defer cancel()
	part := c.open(i, undo, t.method, made.resource.location(""))
	part.request = part.request.WithContext(ctx)
	if _, err := do(part, t); err != nil {
		return refuse(http.StatusServiceUnavailable, "it was created without its references and could not be taken back: delete %s, then send it again", made.resource.location(c.call.base()))
	}
	return nil
}

const deactivation = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`

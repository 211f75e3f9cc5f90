package scimhttp

import (
	"context"
	"maps"
	"net/http"
	"reflect"
	"slices"

	"github.com/muster-id/muster/internal/scim"
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
		done.status, done.was = made.status, made.was
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

// takeBack deletes what a creation has made. A person whom it has brought back
// becomes who they were. It is done also where the client has gone.
func (c circle) takeBack(i int, made outcome) error {
	e, _, err := c.call.target(c.request.Operations[i].Path)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.call.context()), longestOperation)
	defer cancel()
	t := task{e, http.MethodDelete, operation{id: made.resource.id, view: view{rt: e.rt}}}
	if made.was != nil {
		t.method = http.MethodPut
		t.endpoint.replace = func(part *call, op operation) (outcome, error) { return part.updateUser(op, restoring(e.rt, made)) }
	}
	part := c.open(i, undo, t.method, made.resource.location(""))
	part.request = part.request.WithContext(ctx)
	_, err = do(part, t)
	switch {
	case err == nil:
		return nil
	case made.was != nil:
		return c.shutOut(part, t, err)
	}
	return refuse(http.StatusServiceUnavailable, "it was created without its references and could not be taken back: delete %s, then send it again",
		made.resource.location(c.call.base()))
}

// shutOut deactivates somebody who was brought back and cannot become who they were,
// because of cause, and says who.
func (c circle) shutOut(part *call, t task, cause error) error {
	t.method, t.body = http.MethodPatch, []byte(deactivation)
	if _, err := do(part, t); err != nil {
		cause = err
	}
	return refuse(http.StatusServiceUnavailable, "it brought back somebody who could not become who they were (%s): put right %s, then send it again",
		wireError(cause, part.door.requestID(part.request)).fault.Detail, resource{rt: t.endpoint.rt, id: t.id}.location(c.call.base()))
}

const deactivation = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`

// restoring makes of somebody what they were before made, but for what others have
// changed since. Where somebody else has taken the userName or another unique value
// meanwhile, nothing is restored.
func restoring(rt *scim.ResourceType, made outcome) func(scim.Resource) (scim.Resource, []scim.Note, error) {
	return func(now scim.Resource) (scim.Resource, []scim.Note, error) {
		was, err := scim.ParseStored(rt, made.was)
		if err != nil {
			return nil, nil, err
		}
		given, err := scim.ParseStored(rt, made.resource.stored)
		if err != nil {
			return nil, nil, err
		}
		next := maps.Clone(now)
		for name := range now {
			if _, had := was[name]; !had && reflect.DeepEqual(now[name], given[name]) {
				delete(next, name)
			}
		}
		for name, value := range was {
			if reflect.DeepEqual(now[name], given[name]) {
				next[name] = value
			}
		}
		return next, nil, nil
	}
}

package scimhttp

import (
	"net/http"

	"github.com/muster-id/muster/internal/scim"
)

// An endpoint is where the resources of one type are: what can be done there,
// by a request of its own or by an operation of a bulk request.
type endpoint struct {
	rt      *scim.ResourceType
	longest int64 // body, in bytes

	read, create, replace, patch, remove act
}

// An act does one operation, as the credential of the call may, and says what
// came of it. It neither reads the request nor writes the answer, so that it
// does the same wherever the operation stands.
type act func(*call, operation) (outcome, error)

// endpoint finds the endpoint of resources at a path.
func (c *call) endpoint(path string) (endpoint, bool) {
	for _, of := range []func(*call) (endpoint, error){users, groups} {
		if e, err := of(c); err == nil && e.rt.Endpoint == path {
			return e, true
		}
	}
	for _, rt := range c.registeredTypes() {
		if rt.Endpoint == path {
			return resourcesOf(rt), true
		}
	}
	return endpoint{}, false
}

// act is what a method does at an endpoint, or to one of its resources, for a
// credential that may.
func (e endpoint) act(method string) act {
	do := e.changing(method)
	if do == nil {
		return e.read
	}
	return func(c *call, op operation) (outcome, error) {
		if !c.dir.MayWrite(e.rt) {
			return outcome{}, beyond("this credential may not change a %s: a change needs another", e.rt.Name)
		}
		return do(c, op)
	}
}

// changing is what a method changes; nil: nothing.
func (e endpoint) changing(method string) act {
	switch method {
	case http.MethodPost:
		return e.create
	case http.MethodPut:
		return e.replace
	case http.MethodPatch:
		return e.patch
	case http.MethodDelete:
		return e.remove
	}
	return nil
}

// An operation is what an act needs to know: what one request asks for.
type operation struct {
	id      string // of the resource; "" where it is created
	ifMatch string
	body    []byte
	view    view // what the answer shall show
}

// An outcome is what came of an operation that succeeded.
type outcome struct {
	status   int
	resource resource // as it is now; of a deletion nothing

	specified scim.Specified // what the answer shows because the operation gave it
}

// at makes the handler of a request for one resource of an endpoint, or for a
// new one: decode, act, answer.
func at(of func(*call) (endpoint, error)) handler {
	return func(c *call) error {
		e, err := of(c)
		if err != nil {
			return err
		}
		op, err := c.operation(e)
		if err != nil {
			return err
		}
		if err := c.checkExcluded(e, op); err != nil {
			return err
		}
		done, err := e.act(c.request.Method)(c, op)
		if err != nil {
			return err
		}
		return c.done(done, op)
	}
}

// one is what can be done to one resource of an endpoint.
func one(of func(*call) (endpoint, error)) methods {
	handle := at(of)
	return methods{http.MethodGet: handle, http.MethodPut: handle, http.MethodPatch: handle, http.MethodDelete: handle}
}

// operation reads what the request asks of an endpoint. A deletion has neither
// a body nor anything to show.
func (c *call) operation(e endpoint) (op operation, err error) {
	op = operation{id: c.id(), ifMatch: c.ifMatch(), view: view{rt: e.rt}}
	if err := checkTags(op.ifMatch); err != nil || c.request.Method == http.MethodDelete {
		return op, err
	}
	if op.view, err = c.view(e.rt); err != nil || c.reads() {
		return op, err
	}
	op.body, err = c.body(e.longest)
	return op, err
}

// reads reports whether the request asks for what there is: GET or HEAD.
func (c *call) reads() bool {
	return c.request.Method == http.MethodGet || c.request.Method == http.MethodHead
}

// view reads which attributes the answer shall show.
func (c *call) view(rt *scim.ResourceType) (view, error) {
	values, err := parameters(c.request.URL.RawQuery)
	if err != nil {
		return view{}, err
	}
	return newView(rt, values)
}

// document decodes the body of an operation that creates or replaces.
func (c *call) document(op operation) (scim.Document, error) {
	return scim.Decode(op.view.rt, op.body, c.profile())
}

// done answers an operation that succeeded.
func (c *call) done(done outcome, op operation) error {
	switch {
	case c.reads():
		return c.read(done.resource, op)
	case done.status == http.StatusNoContent:
		if etag := done.resource.etag(); etag != "" {
			c.answer.Header().Set("ETag", etag)
		}
		c.answer.WriteHeader(http.StatusNoContent)
		return nil
	}
	return c.one(done.status, done.resource, op.view.specifying(done.specified))
}

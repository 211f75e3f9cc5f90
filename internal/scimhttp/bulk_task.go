package scimhttp

import (
	"crypto/sha256"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
)

// A task is an operation of a bulk request that can be done: its references are
// resolved, and what it is about is found.
type task struct {
	endpoint endpoint
	method   string
	operation
}

// task makes an operation ready. References to what comes with it in a circle and
// is not there yet are left out.
func (j *job) task(i int) (task, error) {
	op := j.request.Operations[i]
	if err := complete(op); err != nil {
		return task{}, err
	}
	if err := j.checkReferences(op); err != nil {
		return task{}, err
	}
	path, data, err := op.Resolve(j.ids)
	if err != nil {
		return task{}, err
	}
	e, id, err := j.call.target(path)
	switch {
	case err != nil:
		return task{}, err
	case (op.Method == http.MethodPost) != (id == ""):
		return task{}, scim.BadValue("path: POST takes an endpoint, such as /Users; other methods take a resource there")
	case int64(len(data)) > e.longest:
		return task{}, tooLarge(e.longest)
	}
	return task{e, op.Method, operation{id: id, ifMatch: op.Version, body: data, view: view{rt: e.rt}}}, nil
}

// complete refuses an operation that lacks what its method needs (RFC 7644 §3.7).
func complete(op scim.BulkOperation) error {
	methods := []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	switch {
	case op.Method == "":
		return scim.BadValue("method is missing")
	case !slices.Contains(methods, op.Method):
		return refuse(http.StatusMethodNotAllowed, "method must be one of %s", strings.Join(methods, ", "))
	case op.Path == "":
		return scim.BadValue("path is missing")
	case op.Method == http.MethodPost && op.BulkID == "":
		return scim.BadValue("bulkId is missing: POST needs one")
	case op.Method != http.MethodDelete && op.Data == nil:
		return scim.BadValue("data is missing: %s needs it", op.Method)
	}
	return checkTags(op.Version)
}

// checkReferences refuses an operation that refers to nothing, or to what was
// not created: it would be done without (RFC 7644 §3.7.2).
func (j *job) checkReferences(op scim.BulkOperation) error {
	for _, id := range op.References() {
		at, known := j.creations[id]
		switch {
		case !known:
			return scim.BadValue("bulkId:%s is the bulkId of no POST in this request", clip(id))
		case j.results[at] != nil && j.ids[id] == "":
			return refuse(http.StatusConflict, "bulkId:%s could not be created", clip(id))
		}
	}
	return nil
}

// clip bounds what a message repeats of a client's text.
func clip(text string) string {
	const most = 64
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// target finds the endpoint that a path relative to the base is of, and the id
// of the resource there, "" for the endpoint itself. Nothing else than the
// resources of the tenant can be reached by it.
func (c *call) target(path string) (endpoint, string, error) {
	rest, rooted := strings.CutPrefix(path, "/")
	name, id, deeper := strings.Cut(rest, "/")
	e, found := c.endpoint("/" + name)
	if !rooted || !found || deeper && id == "" || strings.ContainsAny(id, "/?#%") {
		return endpoint{}, "", scim.BadValue("path must be an endpoint of resources, such as /Users, or a resource there, such as /Users/2819c223-7f76-453a-919d-413861904646")
	}
	return e, id, nil
}

// A step is one of the changes that an operation comes to.
type step byte

const (
	first step = iota
	again      // with the references that were not known at first
	undo
)

// do does a task for a call. A panic becomes an error like any other.
func do(c *call, t task) (done outcome, err error) {
	defer recovered(&err)
	return t.endpoint.act(t.method)(c, t.operation)
}

// part is the call of an operation: a request of its own to the store and in the
// provisioning log.
func (j *job) part(i int) *call {
	if j.parts[i] == nil {
		op := j.request.Operations[i]
		j.parts[i] = j.open(i, first, op.Method, op.Path)
		keepBody(j.parts[i].dir, op.Data)
	}
	return j.parts[i]
}

// open makes the call of a step of an operation.
func (j *job) open(i int, s step, method, path string) *call {
	part := *j.call
	part.dir = j.call.dir.Part(store.Request{
		ID: j.id(i, s), Method: method, Path: strings.TrimPrefix(j.call.base(), j.call.door.origin) + (&redactor{secrets: neverReturned(j.call.dir.ResourceTypes())}).filter(path),
		Agent: hideTokens(j.call.request.UserAgent()), Began: j.call.door.now(),
	})
	return &part
}

// id is the request id of a step of an operation: always the same for the same
// request, and as old as that, so that rows stay in the order of time (RFC 9562
// §5.8).
func (j *job) id(i int, s step) uuid.UUID {
	request := j.call.door.requestID(j.call.request)
	sum := sha256.Sum256(append(request[:], byte(i>>8), byte(i), byte(s)))
	id := request
	const moment = 6 // bytes
	copy(id[moment:], sum[:])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

package scimhttp

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
)

// bulkSchema is the URN of the answer to a bulk request (RFC 7644 §3.7).
const bulkSchema = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"

// longestOperation is how much of a request's time has to be left for another
// operation to begin: as long as the store works at a change, and then looks
// for what became of it. So no operation is cut off while its outcome is open.
const longestOperation = 8 * time.Second

// bulk answers POST /Bulk (RFC 7644 §3.7): 200 with the status of each operation,
// in the order of the request. Each is done by the very code that a request
// of its own is, in a transaction of its own: wholly or not at all. There is no
// transaction around them.
func bulk(c *call) error {
	body, err := c.body(scim.MaxBulkPayload)
	if fault, ok := errors.AsType[*scim.Error](err); ok && fault.Status == http.StatusRequestEntityTooLarge {
		err = scim.BulkTooLong()
	}
	if err != nil {
		return err
	}
	if err := c.dir.Enter(c.context()); err != nil {
		return err
	}
	request, err := scim.ParseBulk(body)
	if err != nil {
		return err
	}
	n := len(request.Operations)
	if err := c.charge(n - 1); err != nil {
		return err
	}
	j := &job{
		call: c, request: request, creations: request.Creations(), ids: map[string]string{},
		parts: make([]*call, n), results: make([]*bulkResult, n),
	}
	if err := j.run(); err != nil {
		return err
	}
	return j.answer()
}

// A job is a bulk request while it is done.
type job struct {
	call      *call
	request   scim.Bulk
	creations map[string]int    // by bulkId
	ids       map[string]string // by bulkId: of what has been created
	parts     []*call           // of the operations; nil: not begun
	results   []*bulkResult     // of the operations; nil: not done
	errors    int
}

// A bulkResult is what came of one operation (RFC 7644 §3.7.3).
type bulkResult struct {
	Location string          `json:"location,omitempty"`
	Method   string          `json:"method,omitempty"`
	BulkID   string          `json:"bulkId,omitempty"`
	Version  string          `json:"version,omitempty"`
	Status   string          `json:"status"`
	Response json.RawMessage `json:"response,omitempty"` // of a refusal: the Error message
}

// Why an operation was not tried.
var (
	errLate   = refuse(http.StatusServiceUnavailable, "there is no time left for this operation; nothing was changed by it: send it again")
	errCircle = refuse(http.StatusConflict, "groups cannot be members of one another in a circle")
)

// run does the operations until all are done, so many have failed as the client
// accepts, or the time is over: what is then left is refused. A client that has
// gone gets nothing more done.
func (j *job) run() error {
	for _, together := range j.request.Order() {
		switch {
		case j.request.FailOnErrors > 0 && j.errors >= j.request.FailOnErrors:
			return nil
		case errors.Is(j.call.context().Err(), context.Canceled):
			return j.call.context().Err()
		case j.call.late():
			for _, i := range together {
				j.fail(i, errLate)
			}
		case len(together) > 1 || j.refers(together[0], together[0]):
			j.circle(together)
		default:
			j.one(together[0])
		}
	}
	return nil
}

// late reports whether too little is left of the request's time.
func (c *call) late() bool {
	deadline, bounded := c.context().Deadline()
	return bounded && time.Until(deadline) < longestOperation
}

// refers reports whether an operation refers to what another creates.
func (j *job) refers(from, to int) bool {
	for _, id := range j.request.Operations[from].References() {
		if at, ok := j.creations[id]; ok && at == to {
			return true
		}
	}
	return false
}

// one does an operation whose references are all done.
func (j *job) one(i int) {
	var done outcome
	err := j.call.current(func() error {
		t, err := j.task(i)
		if err == nil {
			done, err = do(j.part(i), t)
		}
		return j.renewed(i, j.part(i).verified(err))
	})
	if err != nil {
		j.fail(i, err)
		return
	}
	j.succeed(i, done)
}

// renewed is err. Where that says that the tenant's schemas have changed, the
// operation and those after it are read by the new ones.
func (j *job) renewed(i int, err error) error {
	if !errors.Is(err, store.ErrRedeclared) {
		return err
	}
	j.parts[i] = nil
	if entered := j.call.dir.Enter(j.call.context()); entered != nil {
		return entered
	}
	return err
}

// succeed records an operation that was done.
func (j *job) succeed(i int, done outcome) {
	op := j.request.Operations[i]
	r := j.result(i)
	r.Status, r.Version = strconv.Itoa(done.status), done.resource.etag()
	if op.Method == http.MethodPost {
		j.ids[op.BulkID] = done.resource.id
		r.Location = done.resource.location(j.call.base())
	}
	j.part(i).keep(&scim.Error{Status: done.status}, nil)
}

// fail records an operation that was not done, and why.
func (j *job) fail(i int, err error) {
	answer := wireError(err, j.id(i, first))
	if answer.ours {
		j.call.door.log.ErrorContext(j.call.context(), "bulk operation failed", "request", j.call.door.requestID(j.call.request), "operation", i, "error", err)
	}
	j.call.door.refused(answer.reason())
	op := j.request.Operations[i]
	j.part(i).keep(answer.fault, append([]byte(op.Path+"\n"), op.Data...))
	body, bad := answer.fault.MarshalJSON()
	if bad != nil {
		panic(bad) // strings and numbers
	}
	r := j.result(i)
	r.Status, r.Response = strconv.Itoa(answer.fault.Status), body
	j.errors++
}

// result is where the result of an operation is recorded. What it is about is
// known also where it fails, but of a creation.
func (j *job) result(i int) *bulkResult {
	op := j.request.Operations[i]
	r := &bulkResult{Method: op.Method, BulkID: op.BulkID}
	if path, _, err := op.Resolve(j.ids); err == nil && op.Method != http.MethodPost {
		if e, id, err := j.call.target(path); err == nil && id != "" && !strings.HasPrefix(id, "bulkId:") {
			r.Location = resource{rt: e.rt, id: id}.location(j.call.base())
		}
	}
	j.results[i] = r
	return r
}

// answer writes what was done.
func (j *job) answer() error {
	message := struct {
		Schemas    []string      `json:"schemas"`
		Operations []*bulkResult `json:"Operations"`
	}{Schemas: []string{bulkSchema}, Operations: []*bulkResult{}}
	for _, r := range j.results {
		if r != nil {
			message.Operations = append(message.Operations, r)
		}
	}
	body, err := json.Marshal(message)
	if err != nil {
		return err
	}
	write(j.call.answer, http.StatusOK, body)
	return nil
}

package scimhttp

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
)

// A witness is the answer of a call, and remembers its status.
type witness struct {
	http.ResponseWriter
	status int
}

func (w *witness) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets net/http find what w stands in front of.
func (w *witness) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// came is how the provisioning log keeps the request: of its headers only the
// client's name for itself.
func (d *Door) came(r *http.Request) store.Request {
	return store.Request{
		ID: d.requestID(r), Method: r.Method, Path: r.URL.Path, Query: redactQuery(r.URL.RawQuery, nil), Agent: r.UserAgent(), Began: d.now(),
	}
}

// keepQuery leaves out of the query what the tenant's own schemas call secret.
func (c *call) keepQuery() {
	raw, types := c.request.URL.RawQuery, c.dir.ResourceTypes()
	if raw != "" && neverReturned(types) != nil {
		c.dir.Record().Query(redactQuery(raw, types))
	}
}

// keepBody lets the provisioning log keep the body of the request, or of one
// operation of it, that dir serves.
func keepBody(dir *store.Directory, body []byte) {
	dir.Record().Body(func() string { return redact(body, dir.ResourceTypes()) })
}

// record keeps how the call was answered. A request that opened no Directory
// cannot be said to be a tenant's.
func (c *call) record(answered *witness) {
	switch {
	case c.dir == nil:
	case c.fault != nil:
		c.keep(c.fault)
	default:
		c.keep(&scim.Error{Status: answered.status})
	}
}

// keep keeps the status of an answer, and why it is a refusal.
func (c *call) keep(answer *scim.Error) {
	detail := answer.Detail
	if r := (redactor{}); strings.ContainsAny(detail, `"'`) && r.mentions(detail) {
		detail = redacted // it may repeat what the client compared with
	}
	c.dir.Answered(answer.Status, answer.Type, detail)
}

// stray keeps a request that came to an address at which no tenant's endpoints are.
func (d *Door) stray(r *http.Request) {
	if token, err := bearer(r.Header); err == nil {
		d.store.Misplaced(token, d.came(r))
	}
}

// maxParameters bounds the parameters of one query that are kept.
const maxParameters = 32

// redactQuery is a query as it may be kept: known parameters decoded, of others
// the name alone, because an access token may be among them.
func redactQuery(raw string, types []*scim.ResourceType) string {
	r := redactor{secrets: neverReturned(types)}
	var kept []string
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		if len(kept) == maxParameters {
			kept = append(kept, cutMark)
			break
		}
		name, value, _ := strings.Cut(pair, "=")
		name = unescaped(name)
		if !known[strings.ToLower(name)] {
			kept = append(kept, hideTokens(name))
			continue
		}
		kept = append(kept, name+"="+r.filter(unescaped(value)))
	}
	return strings.Join(kept, "&")
}

func unescaped(text string) string {
	decoded, err := url.QueryUnescape(text)
	if err != nil {
		return text
	}
	return decoded
}

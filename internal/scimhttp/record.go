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
// client's name for itself, and no value of its query. Nobody knows yet whose schemas
// say what is secret.
func (d *Door) came(r *http.Request) store.Request {
	return store.Request{
		ID: d.requestID(r), Method: r.Method, Path: (&redactor{}).filter(r.URL.Path), Query: queryNames(r.URL.RawQuery),
		Agent: hideTokens(r.UserAgent()), Began: d.now(),
	}
}

// keepQuery keeps the values of the query too, but for what the tenant's schemas call
// secret.
func (c *call) keepQuery() {
	if raw := c.request.URL.RawQuery; raw != "" {
		dir := c.dir
		dir.Record().Query(func() string { return redactQuery(raw, dir.ResourceTypes()) })
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
		c.keep(c.fault, c.text())
	default:
		c.keep(&scim.Error{Status: answered.status}, nil)
	}
}

// keep keeps the status of an answer to what was sent, and why it is a refusal.
func (c *call) keep(answer *scim.Error, sent []byte) {
	c.dir.Answered(answer.Status, answer.Type, redactDetail(answer, sent, c.dir.ResourceTypes()))
}

// redactDetail is why a request was refused that consists of sent and its query. What
// it quotes may be what the client compared with, or gave as a value: it is hidden
// where it names a secret, and where it says of a text in which one is named that it
// cannot be read.
func redactDetail(answer *scim.Error, sent []byte, types []*scim.ResourceType) string {
	r := redactor{secrets: neverReturned(types)}
	if !strings.ContainsAny(answer.Detail, "\"'`") {
		return answer.Detail
	}
	unread := answer.Type == "invalidFilter" || answer.Type == "invalidPath" || strings.Contains(answer.Detail, "`")
	if r.mentions(answer.Detail) || unread && r.mentions(string(sent)) {
		return redacted
	}
	return answer.Detail
}

// text is what the client sent that messages may quote: the query, and the body.
func (c *call) text() []byte {
	text := []byte(unescaped(c.request.URL.RawQuery) + "\n")
	if c.sent != nil {
		text = append(text, *c.sent...)
	}
	return text
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
	return keptQuery(raw, func(name, value string) string {
		if !known[strings.ToLower(name)] {
			return r.filter(name)
		}
		return name + "=" + r.filter(legible(value))
	})
}

// queryNames is a query as it may be kept of anybody: the names alone, and of what is
// more than a name nothing.
func queryNames(raw string) string {
	return keptQuery(raw, func(name, _ string) string {
		if strings.ContainsFunc(name, isNotName) {
			return redacted
		}
		return hideTokens(name)
	})
}

// keptQuery is a query of which keep keeps a parameter; value is as it came.
func keptQuery(raw string, keep func(name, value string) string) string {
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
		kept = append(kept, keep(legible(name), value))
	}
	return strings.Join(kept, "&")
}

// legible is a part of a query, decoded. Of one that cannot be nobody could tell
// what stands in it.
func legible(text string) string {
	decoded, err := url.QueryUnescape(text)
	if err != nil {
		return redacted
	}
	return decoded
}

func unescaped(text string) string {
	decoded, err := url.QueryUnescape(text)
	if err != nil {
		return text
	}
	return decoded
}

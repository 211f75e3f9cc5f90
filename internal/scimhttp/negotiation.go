package scimhttp

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
)

// mediaType is what every answer with a body is (RFC 7644 §3.1).
const mediaType = "application/scim+json"

// The longest bodies of requests, in bytes.
const (
	longestUser  = 1 << 20
	longestGroup = 32 << 20
)

const (
	// smallBody is the longest body, in bytes, that is read before its token is
	// verified.
	smallBody = 64 << 10
	// largeBodies is how many longer ones a process has in hand at once, half as many
	// of one tenant: what is made of one takes several times its length.
	largeBodies = 8
)

// readable are the media types that a body may have (Q4); none means SCIM.
var readable = map[string]bool{mediaType: true, "application/json": true, "": true}

// body reads the request's body of at most limit bytes. It is read whole before
// the store is asked, so that a slow client holds no database connection.
func (c *call) body(limit int64) ([]byte, error) {
	if c.sent != nil {
		return *c.sent, nil
	}
	if err := checkContent(c.request.Header); err != nil {
		return nil, err
	}
	if c.request.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	if err := c.enterLarge(); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.answer, c.request.Body, limit))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge(limit)
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "the body ended before it was complete")
	}
	keepBody(c.dir, body)
	c.sent = &body
	return body, nil
}

// enterLarge verifies the token before a body is read that is large, or that
// does not say, and waits for a place among those. The place is kept until the
// request is answered.
func (c *call) enterLarge() error {
	if length := c.request.ContentLength; 0 <= length && length <= smallBody {
		return nil
	}
	if err := c.dir.Enter(c.context()); err != nil {
		return err
	}
	leave, err := c.door.large.take(c.context(), c.dir.Tenant())
	if errors.Is(err, context.DeadlineExceeded) {
		return errBusy
	}
	c.large = leave
	return err
}

// leave gives the place back.
func (c *call) leave() {
	if c.large != nil {
		c.large()
	}
}

func tooLarge(limit int64) error {
	return refuse(http.StatusRequestEntityTooLarge, "the body is longer than %d bytes", limit)
}

// checkContent refuses bodies of other media types and charsets, and encoded
// ones: a few compressed bytes may hold a large body.
func checkContent(header http.Header) error {
	for _, encoding := range header.Values("Content-Encoding") {
		if !strings.EqualFold(strings.TrimSpace(encoding), "identity") {
			return refuse(http.StatusUnsupportedMediaType, "Content-Encoding is not supported; send the body as it is")
		}
	}
	sent := header.Get("Content-Type")
	if sent == "" {
		return nil
	}
	kind, parameters, err := mime.ParseMediaType(sent)
	charset := parameters["charset"]
	if err != nil || !readable[kind] || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return refuse(http.StatusUnsupportedMediaType, "Content-Type must be %s or application/json, in UTF-8", mediaType)
	}
	return nil
}

// acceptable refuses a request that wants none of what can be answered. Any
// range that covers SCIM or JSON will do; quality values are not weighed,
// because there is one representation only.
func acceptable(header http.Header) error {
	wanted := strings.Join(header.Values("Accept"), ",")
	if strings.TrimSpace(wanted) == "" {
		return nil
	}
	for part := range strings.SplitSeq(wanted, ",") {
		kind, _, _ := strings.Cut(part, ";")
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "*/*", "application/*", mediaType, "application/json":
			return nil
		}
	}
	return refuse(http.StatusNotAcceptable, "this service provider answers %s only", mediaType)
}

// write sends an answer. A body that cannot be sent has nobody to be told.
func write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	w.Write(body)
}

package scimhttp

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
)

// entityTags are "*" or a list of entity tags (RFC 9110 §8.8.3, §13.1.1), with
// empty elements, which a recipient has to bear with (§5.6.1).
var entityTags = regexp.MustCompile(`^[ \t,]*(\*|(W/)?"[^"\x00-\x20\x7f]*"([ \t]*,[ \t,]*(W/)?"[^"\x00-\x20\x7f]*")*)[ \t,]*$`)

var (
	errNoTag    = scim.BadValue(`a version is an entity tag, such as W/"1", a list of them, or *`)
	errExcluded = refuse(http.StatusPreconditionFailed, "the resource has a version that If-None-Match excludes")
)

// checkTags refuses what is no version: a condition that is not understood must
// not be taken to hold.
func checkTags(ifMatch string) error {
	if ifMatch != "" && !entityTags.MatchString(ifMatch) {
		return errNoTag
	}
	return nil
}

// checkExcluded refuses a change to a resource that has a version which
// If-None-Match names. What If-Match says is seen to in the transaction; this may be
// looked at before it, as no version ever comes back.
func (c *call) checkExcluded(e endpoint, op operation) error {
	excluded := c.request.Header.Values("If-None-Match")
	if op.id == "" || len(excluded) == 0 || c.reads() {
		return nil
	}
	there, err := e.read(c, operation{id: op.id, view: view{rt: e.rt}})
	if err == nil && matches(excluded, there.resource.etag()) {
		err = errExcluded
	}
	return err
}

// read answers a resource that is read, or 304 when the client has this very
// version of it (RFC 7644 §3.14), or 412 when it wants another.
func (c *call) read(r resource, op operation) error {
	etag := r.etag()
	switch {
	case etag == "":
	case op.ifMatch != "" && !matches([]string{op.ifMatch}, etag):
		return store.ErrStale
	case matches(c.request.Header.Values("If-None-Match"), etag):
		c.answer.Header().Set("ETag", etag)
		c.answer.WriteHeader(http.StatusNotModified)
		return nil
	}
	return c.one(http.StatusOK, r, op.view)
}

// matches reports whether a list of entity tags names etag: weakly, so W/"1"
// and "1" are the same.
func matches(header []string, etag string) bool {
	opaque := strings.TrimPrefix(etag, "W/")
	for tag := range strings.SplitSeq(strings.Join(header, ","), ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == opaque {
			return true
		}
	}
	return false
}

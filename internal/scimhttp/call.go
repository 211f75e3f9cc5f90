package scimhttp

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
)

// A call is one request, the Directory that its token opens, and the answer.
type call struct {
	door    *Door
	answer  http.ResponseWriter
	request *http.Request
	dir     *store.Directory // nil until authenticated
	self    *store.Self      // or the person who is
	large   func()           // gives back the place among the large bodies; nil: there is none
	sent    *[]byte          // the body, once it has been read
	fault   *scim.Error      // how it was refused; nil: it was not
}

func (c *call) context() context.Context { return c.request.Context() }

// authenticate finds the Directory that the request's token opens. Whether the
// token still holds is decided by the store call that follows.
func (c *call) authenticate() error {
	token, err := bearer(c.request.Header)
	if err != nil {
		return err
	}
	dir, err := c.door.store.SCIM(c.context(), c.parameter("tenant"), token, c.door.came(c.request))
	if err != nil {
		return err
	}
	c.dir = dir
	c.request = c.request.WithContext(dir.InShare(c.context()))
	c.keepQuery()
	return nil
}

func (c *call) profile() scim.Profile { return c.dir.Profile() }

// id is the resource id in the path.
func (c *call) id() string { return c.parameter("id") }

// parameter returns a part of the path, decoded once: chi hands out the encoded
// form where the client encoded more than it had to.
func (c *call) parameter(name string) string {
	value := chi.URLParamFromCtx(c.context(), name)
	if c.request.URL.RawPath == "" {
		return value
	}
	decoded, err := url.PathUnescape(value)
	if err != nil {
		return value
	}
	return decoded
}

// base is the tenant's base URL, from configuration and the credential only.
func (c *call) base() string {
	return c.door.origin + strings.Replace(base, "{tenant}", c.tenant(), 1)
}

func (c *call) tenant() string {
	if c.self != nil {
		return c.self.Tenant()
	}
	return c.dir.Tenant()
}

// enter verifies now whatever authenticated the call.
func (c *call) enter() error {
	switch {
	case c.self != nil:
		return c.self.Enter(c.context())
	case c.dir != nil:
		return c.dir.Enter(c.context())
	}
	return nil
}

func (c *call) ifMatch() string { return strings.Join(c.request.Header.Values("If-Match"), ", ") }

package issuer

import (
	"net/http"
	"net/url"

	"github.com/muster-id/muster/internal/store"
)

// A client is who an application says it is. Whether it is true is decided in
// the store's transaction.
type client struct{ id, secret string }

// clientOf reads the client's credentials from the Authorization header or from
// the form, never from both (RFC 6749 §2.3.1). A public client has an id only.
func clientOf(r *http.Request, form url.Values) (client, error) {
	if r.Header.Get("Authorization") == "" {
		c := client{id: form.Get("client_id"), secret: form.Get("client_secret")}
		return c, c.check()
	}
	c, err := basicClient(r)
	if err != nil {
		return client{}, err
	}
	if form.Has("client_secret") || form.Has("client_id") && form.Get("client_id") != c.id {
		return client{}, badRequest("use one way to authenticate the client")
	}
	return c, nil
}

// basicClient reads the client's credentials from HTTP Basic, whose parts are
// form-encoded first.
func basicClient(r *http.Request) (client, error) {
	id, secret, ok := r.BasicAuth()
	if !ok || len(r.Header.Values("Authorization")) != 1 {
		return client{}, store.ErrUnauthenticated
	}
	id, badID := url.QueryUnescape(id)
	secret, badSecret := url.QueryUnescape(secret)
	if badID != nil || badSecret != nil {
		return client{}, store.ErrUnauthenticated
	}
	c := client{id: id, secret: secret}
	return c, c.check()
}

// check refuses, before the database is asked, what no application is called
// and no secret of ours looks like.
func (c client) check() error {
	if !isName(c.id) || c.secret != "" && !isName(c.secret) {
		return store.ErrUnauthenticated
	}
	return nil
}

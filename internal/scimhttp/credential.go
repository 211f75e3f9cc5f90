package scimhttp

import (
	"errors"
	"net/http"
	"strings"

	"github.com/muster-id/muster/internal/store"
)

// longestToken bounds what is looked up, in bytes.
const longestToken = 512

// bearer returns the token of an Authorization header.
func bearer(header http.Header) (string, error) {
	token := brought(header)
	if token == "" || len(token) > longestToken {
		return "", store.ErrUnauthenticated
	}
	return token, nil
}

// brought is the token of an Authorization header, "" where there is none: "Bearer x" in
// any letter case, or, as Okta sends it, the token alone (Q7). A token anywhere else, and
// any other scheme, is no token.
func brought(header http.Header) string {
	values := header.Values("Authorization")
	if len(values) != 1 {
		return ""
	}
	fields := strings.Fields(values[0])
	switch {
	case len(fields) == 2 && strings.EqualFold(fields[0], "Bearer"):
		return fields[1]
	case len(fields) == 1 && !strings.EqualFold(fields[0], "Bearer"):
		return fields[0]
	}
	return ""
}

// admit finds out whether the tenant may send a request now, and whether the credential
// may do what this one asks for.
func (c *call) admit() error {
	if err := c.meet(); err != nil {
		return err
	}
	if err := c.charge(1); err != nil {
		return err
	}
	if err := acceptable(c.request.Header); err != nil {
		return err
	}
	return c.permitted()
}

// meet verifies a credential that is not known to hold. Only one that holds counts
// against its tenant and takes of what its tenant may have: one that was revoked must not
// use that up. So the first request of a token at each process takes one round trip more,
// counts like every other, and does its work in the tenant's share.
func (c *call) meet() error {
	if c.held() {
		return nil
	}
	if err := c.enter(); err != nil && !errors.Is(err, store.ErrRedeclared) {
		return err
	}
	if c.dir != nil {
		c.request = c.request.WithContext(c.dir.InShare(c.context()))
	}
	return nil
}

// held reports whether the credential held when this process last looked.
func (c *call) held() bool {
	switch {
	case c.self != nil:
		return c.self.Held()
	case c.dir != nil:
		return c.dir.Held()
	}
	return false
}

// permitted refuses a change by a credential that only reads (RFC 7644 §2): the
// transaction that it would be made in refuses too.
func (c *call) permitted() error {
	search := c.request.Method == http.MethodPost && strings.HasSuffix(strings.TrimRight(c.request.URL.Path, "/"), "/.search")
	if c.dir != nil && c.dir.ReadOnly() && !c.reads() && !search {
		return beyond("this credential only reads: a change needs another")
	}
	return nil
}

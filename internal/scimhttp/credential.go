package scimhttp

import (
	"net/http"
	"strings"

	"github.com/muster-id/muster/internal/store"
)

// longestToken bounds what is looked up, in bytes.
const longestToken = 512

// bearer returns the token of an Authorization header: "Bearer x" in any letter
// case, or, as Okta sends it, the token alone (Q7). A token anywhere else, and
// any other scheme, is no token.
func bearer(header http.Header) (string, error) {
	values := header.Values("Authorization")
	if len(values) != 1 {
		return "", store.ErrUnauthenticated
	}
	fields := strings.Fields(values[0])
	switch {
	case len(fields) == 2 && strings.EqualFold(fields[0], "Bearer"):
		return bounded(fields[1])
	case len(fields) == 1 && !strings.EqualFold(fields[0], "Bearer"):
		return bounded(fields[0])
	}
	return "", store.ErrUnauthenticated
}

func bounded(token string) (string, error) {
	if len(token) > longestToken {
		return "", store.ErrUnauthenticated
	}
	return token, nil
}

// admit finds out whether the tenant may send a request now, and whether the credential
// may do what this one asks for.
func (c *call) admit() error {
	if err := c.charge(1); err != nil {
		return err
	}
	if err := acceptable(c.request.Header); err != nil {
		return err
	}
	return c.permitted()
}

// permitted refuses a change by a credential that only reads (RFC 7644 §2): the
// transaction that it would be made in refuses too.
func (c *call) permitted() error {
	search := c.request.Method == http.MethodPost && strings.HasSuffix(strings.TrimRight(c.request.URL.Path, "/"), "/.search")
	if c.dir != nil && c.dir.ReadOnly() && !c.reads() && !search {
		return refuse(http.StatusForbidden, "this credential only reads: a change needs another")
	}
	return nil
}

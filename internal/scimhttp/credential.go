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

package issuer

import (
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxForm  = 64 << 10
	maxValue = 2 << 10 // of state, nonce and the like, in bytes
)

// readForm reads a form body. Parameters in the URL are no parameters.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, badRequest("send application/x-www-form-urlencoded")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if err != nil {
		return nil, badRequest("the body is too long or was cut off")
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, badRequest("the body is not a form")
	}
	return values, nil
}

// once reports whether every parameter is there at most once, as RFC 6749 §3.1
// and §3.2 demand.
func once(values url.Values) bool {
	for _, list := range values {
		if len(list) > 1 {
			return false
		}
	}
	return true
}

// isText reports whether s can be stored and sent back: UTF-8 without control
// characters, of bounded length.
func isText(s string) bool {
	return len(s) <= maxValue && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// isName reports whether s could be an identifier of ours: visible ASCII, short.
func isName(s string) bool {
	const most = 512
	return s != "" && len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

package issuer

import (
	"net/http"
	"net/url"
)

// Respond returns the one way in which an authorization response leaves: a 303
// to the application with params, state and iss (RFC 6749 §4.1.2, RFC 9207 §2,
// RFC 9700 §4.12). Whoever calls it has compared redirectURI with the
// application's registered ones.
func Respond(issuer string) func(w http.ResponseWriter, redirectURI, state string, params url.Values) {
	return func(w http.ResponseWriter, redirectURI, state string, params url.Values) {
		target, err := url.Parse(redirectURI)
		if err != nil {
			panic(err) // registered URIs parse
		}
		params.Set("iss", issuer)
		if state != "" {
			params.Set("state", state)
		}
		if target.RawQuery != "" { // kept as it is: RFC 6749 §3.1.2
			target.RawQuery += "&"
		}
		target.RawQuery += params.Encode()
		noStore(w.Header())
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Location", target.String())
		w.WriteHeader(http.StatusSeeOther)
	}
}

// noStore keeps an answer out of every cache (RFC 6749 §5.1).
func noStore(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
}

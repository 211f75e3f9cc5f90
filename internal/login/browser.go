package login

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/muster-id/muster/internal/store"
)

const (
	signInSeconds = 600 // how long a sign-in may take; the same in store
	maxSignIns    = 8   // begun in one browser and not finished
)

// cookieName is the name of the cookie of one sign-in: several tabs can sign in
// at once. The __Host- prefix keeps other hosts of the domain from setting it; a
// browser takes it over https only, so a local server has to do without.
func (l *Login) cookieName(state string) string {
	sum := sha256.Sum256([]byte(state))
	return l.cookiePrefix() + base64.RawURLEncoding.EncodeToString(sum[:9])
}

func (l *Login) cookiePrefix() string {
	if l.secure {
		return "__Host-muster-"
	}
	return "muster-"
}

// bind ties the sign-in to this browser (RFC 9700 §4.7). Lax, because the
// identity provider sends the browser back from another site.
func (l *Login) bind(w http.ResponseWriter, r *http.Request, signIn store.SignIn) {
	l.forgetMany(w, r)
	http.SetCookie(w, l.cookie(l.cookieName(signIn.State), signIn.Browser, signInSeconds))
}

// unbind removes the cookie of a sign-in that has been resumed.
func (l *Login) unbind(w http.ResponseWriter, state string) {
	http.SetCookie(w, l.cookie(l.cookieName(state), "", -1))
}

// forgetMany drops what a browser has begun and never finished, before it is so
// much that requests grow too large.
func (l *Login) forgetMany(w http.ResponseWriter, r *http.Request) {
	var begun []string
	for _, cookie := range r.Cookies() {
		if strings.HasPrefix(cookie.Name, l.cookiePrefix()) {
			begun = append(begun, cookie.Name)
		}
	}
	if len(begun) < maxSignIns {
		return
	}
	for _, name := range begun {
		http.SetCookie(w, l.cookie(name, "", -1))
	}
}

func (l *Login) cookie(name, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: maxAge,
		Secure: l.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// browser returns the value that this browser was given for the sign-in, "" if
// it has none.
func (l *Login) browser(r *http.Request, state string) string {
	cookies := r.CookiesNamed(l.cookieName(state))
	if len(cookies) != 1 {
		return ""
	}
	return cookies[0].Value
}

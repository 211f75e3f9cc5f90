package login

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"slices"

	"github.com/muster-id/muster/internal/store/registry"
)

//go:embed page.html style.css
var files embed.FS

var (
	style     = mustRead("style.css")
	templates = template.Must(template.ParseFS(files, "page.html"))
)

func mustRead(name string) []byte {
	text, err := files.ReadFile(name)
	if err != nil {
		panic(err) // embedded
	}
	return text
}

// redirect sends the browser on with a GET (RFC 9700 §4.12) and without telling
// where it was.
func redirect(w http.ResponseWriter, target string) {
	guard(w.Header())
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusSeeOther)
}

// guard sets what every answer to a browser has.
func guard(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// policy allows the one style sheet of the page and nothing else: no script, no
// image, no frame around it. formAction is where forms may lead.
func policy(formAction string) string {
	sum := sha256.Sum256(style)
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; " +
		"form-action " + formAction + "; base-uri 'none'; frame-ancestors 'none'"
}

// writePage shows the page of a reason.
func (l *Login) writePage(w http.ResponseWriter, r *http.Request, reason, advice string) {
	p := pageOf(reason)
	if p.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	write(w, p.status, policy("'none'"), "refused", struct {
		page
		Style                     template.CSS
		Reason, Advice, Reference string
	}{p, template.CSS(style), reason, advice, l.requestID(r).String()})
}

// writeQuestion shows the page that asks where the person belongs. Its form leads
// here, and browsers hold the redirect that follows against form-action too: it may
// go to any identity provider.
func (l *Login) writeQuestion(w http.ResponseWriter, a *ask) {
	formAction, status := "'self' https:", http.StatusOK
	if !l.secure {
		formAction += " http:"
	}
	if a.unknown {
		status = http.StatusNotFound
	}
	write(w, status, policy(formAction), "home", struct {
		Style       template.CSS
		Unknown     bool
		Email       string
		Application string
		Tenant      string
		Kept        []parameter
		Choices     []choice
	}{template.CSS(style), a.unknown, a.params.Get("login_hint"), a.application.Name, a.organisation.Name, a.kept(), a.choices()})
}

// A parameter of the authorization request, carried by the form.
type parameter struct{ Name, Value string }

// A choice is a connection at which the person may sign in.
type choice struct{ Name, Link string }

// kept lists the parameters of the request but those that the form asks for.
func (a *ask) kept() []parameter {
	var list []parameter
	for name := range a.params {
		if name != "login_hint" && name != "tenant" && name != "connection" {
			list = append(list, parameter{name, a.params.Get(name)})
		}
	}
	slices.SortFunc(list, func(x, y parameter) int { return bytes.Compare([]byte(x.Name), []byte(y.Name)) })
	return list
}

func (a *ask) choices() []choice {
	var list []choice
	for _, connection := range a.connections {
		list = append(list, choice{connection.Name, a.link(connection)})
	}
	return list
}

// link repeats the request at one connection.
func (a *ask) link(connection registry.Connection) string {
	params := url.Values{}
	for name := range a.params {
		params.Set(name, a.params.Get(name))
	}
	params.Set("tenant", a.organisation.Slug)
	params.Set("connection", connection.Name)
	return "/authorize?" + params.Encode()
}

func write(w http.ResponseWriter, status int, policy, name string, content any) {
	var body bytes.Buffer
	if err := templates.ExecuteTemplate(&body, name, content); err != nil {
		panic(err) // a test renders every page
	}
	guard(w.Header())
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(body.Bytes())
}

package idpsim

import (
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
)

//go:embed pages.html
var pagesText string

var pages = template.Must(template.New("pages").Parse(pagesText))

// page is what the templates show.
type page struct {
	Directory Directory
	Persona   string
	Issuer    string
	Pushes    bool
	Query     url.Values // of the authorization request, to be sent again
}

// choose shows the people to sign in as. Every button repeats the request with a name.
func (op *provider) choose(w http.ResponseWriter, r *http.Request) {
	query := url.Values{}
	for name, values := range r.Form {
		if name != "person" && name != "login_hint" {
			query[name] = values
		}
	}
	op.idp.show(w, "choose", query)
}

// home shows the directory, with buttons that deactivate and reactivate.
func (idp *IdP) home(w http.ResponseWriter, _ *http.Request) { idp.show(w, "home", nil) }

func (idp *IdP) show(w http.ResponseWriter, name string, query url.Values) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	w.Header().Set("Cache-Control", "no-store")
	pages.ExecuteTemplate(w, name, page{idp.Directory(), idp.options.Persona, idp.Issuer(), idp.client != nil, query})
}

// act deactivates or reactivates a person and pushes that before it answers.
func (idp *IdP) act(w http.ResponseWriter, r *http.Request) {
	var err error
	switch r.PathValue("action") {
	case "deactivate":
		err = idp.Deactivate(r.Context(), r.PathValue("nickname"))
	case "reactivate":
		err = idp.Reactivate(r.Context(), r.PathValue("nickname"))
	default:
		http.NotFound(w, r)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

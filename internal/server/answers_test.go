package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Whatever a write answers is what the next read shows: also the groups that a
// person is in, directly and through another group (checklist G05, I08).
func TestAnAnswerToAWriteIsWhatIsReadNext(t *testing.T) {
	w, token := open(t)
	const body = `"userName":"alice@ringling.example","externalId":"alice"`
	alice := w.create("/Users", token, `{`+body+`}`)
	riggers := w.create("/Groups", token, `{"displayName":"Riggers","members":[{"value":"`+alice+`"}]}`)
	crew := w.create("/Groups", token, `{"displayName":"Crew","members":[{"value":"`+riggers+`"}]}`)
	patch := func(operations string) string {
		return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":` + operations + `}`
	}
	user, group := "/Users/"+alice, "/Groups/"+riggers
	for _, c := range []struct {
		story, method, path, body, read string
		status                          int
	}{
		{"replaced", "PUT", user, `{` + body + `,"title":"Rigger"}`, user, http.StatusOK},
		{"replaced by the same", "PUT", user, `{` + body + `,"title":"Rigger"}`, user, http.StatusOK},
		{"patched", "PATCH", user, patch(`[{"op":"replace","path":"title","value":"Chief"}]`), user, http.StatusOK},
		{"patched by the same", "PATCH", user, patch(`[{"op":"replace","path":"title","value":"Chief"}]`), user, http.StatusOK},
		{"deactivated", "PATCH", user, patch(`[{"op":"replace","path":"active","value":false}]`), user, http.StatusOK},
		{"created again and so reactivated", "POST", "/Users", `{` + body + `,"active":true}`, user, http.StatusCreated},
		{"a group replaced", "PUT", group, `{"displayName":"Riggers","externalId":"riggers"}`, group, http.StatusOK},
		{"a group patched, members asked for", "PATCH", group + "?attributes=displayName,members,externalId,meta",
			patch(`[{"op":"replace","path":"externalId","value":"r"}]`), group, http.StatusOK},
	} {
		t.Run(c.story, func(t *testing.T) {
			written, read := w.scim(c.method, c.path, token, c.body), w.scim("GET", c.read, token, "")
			if written.status != c.status || written.body != read.body {
				t.Errorf("%s %s: got %d\n%s\nwant %d and what is read next\n%s", c.method, c.path, written.status, written.body, c.status, read.body)
			}
			if got, want := written.header.Get("ETag"), read.header.Get("ETag"); got != want {
				t.Errorf("ETag is %q, want %q", got, want)
			}
		})
	}
	shown := w.scim("GET", user, token, "").body
	for _, part := range []string{`"groups":[`, `"value":"` + riggers + `"`, `"type":"direct"`, `"value":"` + crew + `"`, `"type":"indirect"`} {
		if !strings.Contains(shown, part) {
			t.Errorf("the reads compared do not hold %s: %s", part, shown)
		}
	}
	narrow := w.scim("PATCH", user+"?attributes=title", token, patch(`[{"op":"replace","path":"title","value":"Chief"}]`))
	if strings.Contains(narrow.body, "groups") {
		t.Errorf("groups are shown where title alone was asked for: %s", narrow.body)
	}
	created := w.scim("POST", "/Users", token, `{"userName":"bob@ringling.example"}`)
	if read := w.scim("GET", "/Users/"+created.field(t, "id"), token, ""); created.status != http.StatusCreated || created.body != read.body {
		t.Errorf("created: got %d\n%s\nwant 201 and what is read next\n%s", created.status, created.body, read.body)
	}
}

// Every link and the issuer come from the configured public URL: what a request
// says of its host changes no byte of an answer (F11 of the abuse catalogue; login
// tests the redirects).
func TestNoLinkComesFromTheRequest(t *testing.T) {
	w, token := open(t)
	alice := w.create("/Users", token, `{"userName":"alice@ringling.example"}`)
	w.create("/Groups", token, `{"displayName":"Riggers","members":[{"value":"`+alice+`"}]}`)
	ask := func(path, header string) answer {
		r := httptest.NewRequest("GET", path, nil)
		r.Host = strings.TrimPrefix(w.url, "http://")
		r.Header.Set("Authorization", "Bearer "+token)
		switch header {
		case "":
		case "Host":
			r.Host = "evil.example"
		case "Forwarded":
			r.Header.Set(header, "for=evil.example;host=evil.example;proto=https")
		default:
			r.Header.Set(header, "evil.example")
		}
		recorder := httptest.NewRecorder()
		w.router.ServeHTTP(recorder, r)
		return answer{recorder.Code, recorder.Header(), recorder.Body.String()}
	}
	const base = "/t/acme/scim/v2"
	for _, path := range []string{
		base + "/Users", base + "/Users/" + alice, base + "/Groups", base + "/Schemas", base + "/ResourceTypes", base + "/ServiceProviderConfig",
		"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server",
	} {
		want := ask(path, "")
		if want.status != http.StatusOK || !strings.Contains(want.body, w.url) {
			t.Errorf("GET %s: got %d without a link to %s: %s", path, want.status, w.url, want.body)
		}
		for _, header := range []string{"Host", "Forwarded", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Original-URL", "X-Rewrite-URL"} {
			if got := ask(path, header); got.same() != want.same() {
				t.Errorf("GET %s with %s: got\n%s\nwant\n%s", path, header, got.same(), want.same())
			}
		}
	}
}

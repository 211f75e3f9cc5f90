package issuer

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestAResponseGoesToTheApplicationWithStateAndIssuer(t *testing.T) {
	for _, test := range []struct{ name, redirectURI, state, want string }{
		{"plain", "https://app.example/cb", "s", "https://app.example/cb?code=c&iss=https%3A%2F%2Fid.example&state=s"},
		{"a query of its own stays in front, as it was", "https://app.example/cb?b=2&a=1", "s",
			"https://app.example/cb?b=2&a=1&code=c&iss=https%3A%2F%2Fid.example&state=s"},
		{"no state was sent", "https://app.example/cb", "", "https://app.example/cb?code=c&iss=https%3A%2F%2Fid.example"},
		{"state comes back to the letter", "https://app.example/cb", "a&b=c#é ", "https://app.example/cb?code=c&iss=https%3A%2F%2Fid.example&state=a%26b%3Dc%23%C3%A9+"},
		{"a native application", "http://127.0.0.1:8123/cb", "s", "http://127.0.0.1:8123/cb?code=c&iss=https%3A%2F%2Fid.example&state=s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			Respond("https://id.example")(w, test.redirectURI, test.state, url.Values{"code": {"c"}})
			if got := w.Header().Get("Location"); w.Code != http.StatusSeeOther || got != test.want {
				t.Errorf("got %d %s\nwant 303 %s", w.Code, got, test.want)
			}
		})
	}
}

// O33: what a client needs to find its request again comes back whole.
func TestLongStateComesBackWhole(t *testing.T) {
	state := strings.Repeat("0123456789abcdef", 128) // 2 KiB
	w := httptest.NewRecorder()
	Respond("https://id.example")(w, "https://app.example/cb", state, url.Values{})
	location, err := url.Parse(w.Header().Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	if got := location.Query().Get("state"); got != state {
		t.Errorf("state came back with %d bytes, want %d", len(got), len(state))
	}
}

func TestThePublicURLIsAnOrigin(t *testing.T) {
	for raw, want := range map[string]bool{
		"https://id.example.com":      true,
		"https://id.example.com:8443": true,
		"http://127.0.0.1:8080":       true,
		"http://[::1]:8080":           true,
		"http://localhost:8080":       true,
		"https://id.example.com/":     false,
		"https://id.example.com/x":    false,
		"https://id.example.com?x":    false,
		"https://id.example.com#x":    false,
		"https://u@id.example.com":    false,
		"HTTPS://id.example.com":      false, // an issuer is compared byte by byte
		"http://id.example.com":       false,
		"http://127.0.0.1.nip.io":     false,
		"id.example.com":              false,
		"ftp://id.example.com":        false,
		"":                            false,
	} {
		if err := checkPublicURL(raw); (err == nil) != want {
			t.Errorf("checkPublicURL(%q) = %v, want ok %t", raw, err, want)
		}
	}
}

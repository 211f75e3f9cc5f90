package issuer

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAClientSaysOnceWhoItIs(t *testing.T) {
	basic := func(user, password string) http.Header {
		r := httptest.NewRequest("POST", "/token", nil)
		r.SetBasicAuth(user, password)
		return r.Header
	}
	bearer := http.Header{"Authorization": {"Bearer mst_scim_x"}}
	twice := http.Header{"Authorization": {basic("a", "b").Get("Authorization"), basic("a", "b").Get("Authorization")}}
	for _, test := range []struct {
		name   string
		header http.Header
		form   url.Values
		want   *client
	}{
		{"basic", basic("app", "s3cret"), nil, &client{"app", "s3cret"}},
		{"basic, form-encoded as RFC 6749 wants it", basic("a%70p", "s+%25"), nil, nil}, // a secret has no space
		{"basic, encoded", basic("a%70p", "s%2B"), nil, &client{"app", "s+"}},
		{"basic, badly encoded", basic("app", "%zz"), nil, nil},
		{"basic and the same client_id", basic("app", "s"), url.Values{"client_id": {"app"}}, &client{"app", "s"}},
		{"basic and another client_id", basic("app", "s"), url.Values{"client_id": {"other"}}, nil},
		{"basic and client_secret", basic("app", "s"), url.Values{"client_secret": {"s"}}, nil},
		{"basic twice", twice, nil, nil},
		{"post", nil, url.Values{"client_id": {"app"}, "client_secret": {"s"}}, &client{"app", "s"}},
		{"public", nil, url.Values{"client_id": {"app"}}, &client{"app", ""}},
		{"nobody", nil, nil, nil},
		{"a secret alone", nil, url.Values{"client_secret": {"s"}}, nil},
		{"a SCIM token", bearer, url.Values{"client_id": {"app"}}, nil},
		{"NUL", nil, url.Values{"client_id": {"a\x00"}}, nil},
		{"not ASCII", nil, url.Values{"client_id": {"äpp"}}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/token", nil)
			if test.header != nil {
				r.Header = test.header
			}
			got, err := clientOf(r, test.form)
			if test.want == nil {
				if err == nil {
					t.Errorf("got %+v, want an error", got)
				}
				return
			}
			if diff := cmp.Diff(*test.want, got, cmp.AllowUnexported(client{})); err != nil || diff != "" {
				t.Errorf("%v -want +got\n%s", err, diff)
			}
		})
	}
}

func TestAVerifierIs43To128UnreservedCharacters(t *testing.T) {
	const v = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 appendix B
	for verifier, want := range map[string]bool{
		v: true, v[:42]: false, v + v + v[:42]: true, v + v + v: false, v[:42] + " ": false, v[:42] + "+": false, v[:42] + "~": true, "": false,
	} {
		if got := isVerifier(verifier); got != want {
			t.Errorf("isVerifier(%q) = %t, want %t", verifier, got, want)
		}
	}
}

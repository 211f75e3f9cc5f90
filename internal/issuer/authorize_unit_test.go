package issuer

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
)

// challenge is the example of RFC 7636 appendix B.
const challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

// asked returns a good authorization request with some parameters changed; an
// empty value takes one away.
func asked(changes ...string) url.Values {
	params := url.Values{
		"response_type": {"code"}, "client_id": {"timesheet"}, "redirect_uri": {"https://app.example/cb"},
		"state": {"st"}, "nonce": {"no"}, "scope": {"openid"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(changes); i += 2 {
		params.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			params.Del(changes[i])
		}
	}
	return params
}

func TestAnAuthorizationRequestIsReadWhole(t *testing.T) {
	application := registry.Application{ClientID: "timesheet", Audience: "timesheet"}
	want := store.SignInRequest{
		ClientID: "timesheet", RedirectURI: "https://app.example/cb",
		State: "st", Nonce: "no", CodeChallenge: challenge, Scope: "openid",
	}
	for _, params := range []url.Values{
		asked(),
		asked("scope", "profile openid email", "unknown", "ignored", "display", "popup", "claims", "{}"),
		asked("prompt", "login", "response_mode", "query", "resource", "timesheet"),
	} {
		got, err := authorizationRequest(params, application)
		if err != nil {
			t.Errorf("%v: %v", params, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: -want +got\n%s", params, diff)
		}
	}
}

func TestAnAgeIsAWholeNumberOfSeconds(t *testing.T) {
	for text, want := range map[string]*int64{"": nil, "0": new(int64(0)), "0060": new(int64(60)), "999999999": new(int64(999_999_999))} {
		params := asked()
		params.Set("max_age", text) // empty is as good as absent (RFC 6749 §3.1)
		got, err := authorizationRequest(params, registry.Application{ClientID: "timesheet", Audience: "timesheet"})
		if diff := cmp.Diff(want, got.MaxAge); diff != "" || err != nil {
			t.Errorf("max_age %q: %v, -want +got\n%s", text, err, diff)
		}
	}
}

func TestAnAuthorizationRequestIsRefusedInOAuthsWords(t *testing.T) {
	repeated := asked()
	repeated.Add("nonce", "another")
	for _, test := range []struct {
		name   string
		params url.Values
		want   string
	}{
		{"no response_type", asked("response_type", ""), "invalid_request"},
		{"implicit", asked("response_type", "token"), "unsupported_response_type"},
		{"ID Token from the front", asked("response_type", "id_token"), "unsupported_response_type"},
		{"hybrid", asked("response_type", "code id_token"), "unsupported_response_type"},
		{"none", asked("response_type", "none"), "unsupported_response_type"},
		{"fragment", asked("response_mode", "fragment"), "invalid_request"},
		{"form_post", asked("response_mode", "form_post"), "invalid_request"},
		{"request object", asked("request", "eyJhbGciOiJub25lIn0.e30."), "request_not_supported"},
		{"request by reference", asked("request_uri", "https://evil.example/r"), "request_uri_not_supported"},
		{"registration", asked("registration", "{}"), "registration_not_supported"},
		{"no PKCE", asked("code_challenge", "", "code_challenge_method", ""), "invalid_request"},
		{"PKCE without a method is plain", asked("code_challenge_method", ""), "invalid_request"},
		{"plain", asked("code_challenge_method", "plain"), "invalid_request"},
		{"method in another case", asked("code_challenge_method", "s256"), "invalid_request"},
		{"challenge too short", asked("code_challenge", challenge[:42]), "invalid_request"},
		{"challenge too long", asked("code_challenge", challenge+"A"), "invalid_request"},
		{"challenge with padding", asked("code_challenge", challenge+"="), "invalid_request"},
		{"challenge not canonical", asked("code_challenge", challenge[:42]+"N"), "invalid_request"},
		{"challenge in another alphabet", asked("code_challenge", strings.ReplaceAll(challenge, "-", "+")), "invalid_request"},
		{"repeated", repeated, "invalid_request"},
		{"state with a control character", asked("state", "a\x00b"), "invalid_request"},
		{"state too long", asked("state", strings.Repeat("a", maxValue+1)), "invalid_request"},
		{"nonce that is not UTF-8", asked("nonce", "\xff"), "invalid_request"},
		{"silent", asked("prompt", "none"), "login_required"},
		{"silent and not", asked("prompt", "none login"), "invalid_request"},
		{"unknown prompt", asked("prompt", "create"), "invalid_request"},
		{"a negative age", asked("max_age", "-1"), "invalid_request"},
		{"an age with a sign", asked("max_age", "+1"), "invalid_request"},
		{"an age that is a fraction", asked("max_age", "1.5"), "invalid_request"},
		{"an age that is a word", asked("max_age", "soon"), "invalid_request"},
		{"an age that no clock holds", asked("max_age", "9999999999"), "invalid_request"},
		{"another resource", asked("resource", "https://other.example"), "invalid_target"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := authorizationRequest(test.params, registry.Application{ClientID: "timesheet", Audience: "timesheet"})
			fault, ok := errors.AsType[*authorizationError](err)
			if !ok || fault.code != test.want {
				t.Fatalf("got %v, want %s", err, test.want)
			}
			// RFC 6749 §4.1.2.1: printable ASCII without " and \.
			if strings.ContainsFunc(fault.description, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
				t.Errorf("error_description %q has characters that it may not have", fault.description)
			}
		})
	}
}

// Whatever a request holds, it is refused in characters that a redirect may carry, or
// asks for a code with a challenge that can be verified.
func FuzzAuthorizationRequest(f *testing.F) {
	f.Add(asked().Encode())
	f.Add(asked("prompt", "none", "request", "x").Encode())
	f.Add(asked("state", "\x00", "scope", "openid\u00a0x").Encode() + "&state=2")
	f.Add("response_type=code&code_challenge_method=S256&code_challenge=%ff")
	f.Fuzz(func(t *testing.T, query string) {
		params, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		request, err := authorizationRequest(params, registry.Application{ClientID: "timesheet", Audience: "timesheet"})
		if _, refused := errors.AsType[*authorizationError](err); err != nil && !refused {
			t.Errorf("%q: %v is not an answer for the application", query, err)
		}
		if err == nil && (len(request.CodeChallenge) != 43 || !isText(request.State) || !isText(request.Nonce)) {
			t.Errorf("%q was read as %+v", query, request)
		}
		if state := echo(params); state != "" && !isText(state) {
			t.Errorf("%q: the state %q is sent back", query, state)
		}
	})
}

func TestStateIsSentBackOnlyIfItIsOneAndText(t *testing.T) {
	repeated := asked()
	repeated.Add("state", "another")
	for want, params := range map[string]url.Values{"st": asked(), "": repeated} {
		if got := echo(params); got != want {
			t.Errorf("echo(%v) = %q, want %q", params["state"], got, want)
		}
	}
	if got := echo(asked("state", "a\r\nb")); got != "" {
		t.Errorf("a state with a line break was sent back: %q", got)
	}
}

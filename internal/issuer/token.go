package issuer

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/muster-id/muster/internal/store"
)

// token exchanges a code for tokens (RFC 6749 §4.1.3). The code is consumed, the
// person looked at and the session recorded in one transaction; only then is
// anything signed.
func (i *Issuer) token(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	redemption, err := redemption(r, form)
	if err != nil {
		return err
	}
	// Before the code is spent: a key that cannot be read must not cost it.
	signer, err := i.keys.signer(r.Context())
	if err != nil {
		return err
	}
	decision, grant, err := i.store.MintToken(r.Context(), redemption)
	if err != nil {
		return err
	}
	if !decision.Allowed {
		i.log.InfoContext(r.Context(), "token refused", "request", i.config.RequestID(r),
			"client", redemption.ClientID, "reason", decision.Reason, "detail", decision.Detail)
		return invalidGrant(string(decision.Reason))
	}
	answer, err := i.sign(signer, grant)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// redemption reads a token request. What is not a code or verifier of the right
// shape is refused before the database is asked.
func redemption(r *http.Request, form url.Values) (store.CodeRedemption, error) {
	if !once(form) {
		return store.CodeRedemption{}, badRequest("a parameter is given more than once")
	}
	c, err := clientOf(r, form)
	if err != nil {
		return store.CodeRedemption{}, err
	}
	switch form.Get("grant_type") {
	case "authorization_code":
	case "":
		return store.CodeRedemption{}, badRequest("grant_type is missing")
	default:
		return store.CodeRedemption{}, &fault{status: http.StatusBadRequest, code: "unsupported_grant_type",
			description: "grant_type must be authorization_code"}
	}
	for _, name := range []string{"code", "redirect_uri", "code_verifier"} {
		if form.Get(name) == "" {
			return store.CodeRedemption{}, badRequest("%s is missing", name)
		}
	}
	if !isName(form.Get("code")) || !isText(form.Get("redirect_uri")) || !isVerifier(form.Get("code_verifier")) {
		return store.CodeRedemption{}, store.ErrInvalidGrant
	}
	return store.CodeRedemption{
		ClientID: c.id, Secret: c.secret,
		Code: form.Get("code"), RedirectURI: form.Get("redirect_uri"), Verifier: form.Get("code_verifier"),
	}, nil
}

// isVerifier reports whether s is a code verifier: 43 to 128 unreserved
// characters (RFC 7636 §4.1).
func isVerifier(s string) bool {
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	return len(s) >= 43 && len(s) <= 128 && strings.Trim(s, unreserved) == ""
}

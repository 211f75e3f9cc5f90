package idpsim

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	entraLifetime = 65 * time.Minute
	entraBackdate = 5 * time.Minute // Entra's iat and nbf lie that far back
	oktaLifetime  = time.Hour
)

// token exchanges a code for an ID Token (RFC 6749 §4.1.3, OpenID Connect Core §3.1.3).
func (op *provider) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		writeTokenError(w, http.StatusBadRequest, "invalid_request", err)
		return
	}
	client, err := op.authenticate(r)
	if err != nil {
		writeTokenError(w, http.StatusUnauthorized, "invalid_client", err)
		return
	}
	if r.PostForm.Get("grant_type") != "authorization_code" {
		writeTokenError(w, http.StatusBadRequest, "unsupported_grant_type", errors.New("only authorization_code is served"))
		return
	}
	g, err := op.redeem(client, r.PostForm)
	if err != nil {
		writeTokenError(w, http.StatusBadRequest, "invalid_grant", err)
		return
	}
	access := rand.Text()
	idToken, err := op.sign(g, access)
	if err != nil {
		writeTokenError(w, http.StatusInternalServerError, "server_error", err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"token_type": "Bearer", "expires_in": 3599, "scope": g.scope, "access_token": access, "id_token": idToken,
	})
}

func writeTokenError(w http.ResponseWriter, status int, code string, err error) {
	writeJSON(w, status, map[string]string{"error": code, "error_description": err.Error()})
}

// authenticate checks the client's secret, sent in the header or in the form.
func (op *provider) authenticate(r *http.Request) (Client, error) {
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok {
		var errID, errSecret error
		id, errID = url.QueryUnescape(user)
		secret, errSecret = url.QueryUnescape(password)
		if err := errors.Join(errID, errSecret); err != nil {
			return Client{}, err
		}
	}
	op.mu.Lock()
	defer op.mu.Unlock()
	client, ok := op.clients[id]
	if !ok || secret == "" || subtle.ConstantTimeCompare([]byte(secret), []byte(client.Secret)) != 1 {
		return Client{}, errors.New("unknown application or wrong secret")
	}
	return client, nil
}

// redeem takes the code away, whatever comes of it, and checks what it is bound to.
func (op *provider) redeem(client Client, form url.Values) (grant, error) {
	op.mu.Lock()
	g, ok := op.codes[form.Get("code")]
	delete(op.codes, form.Get("code"))
	op.mu.Unlock()
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	switch {
	case !ok || op.idp.options.Now().After(g.expires):
		return grant{}, errors.New("the code is unknown, used or expired")
	case g.client != client.ID || g.redirectURI != form.Get("redirect_uri"):
		return grant{}, errors.New("the code was issued to another application or redirect_uri")
	case subtle.ConstantTimeCompare([]byte(challenge), []byte(g.challenge)) != 1:
		return grant{}, errors.New("code_verifier does not match code_challenge")
	}
	return g, nil
}

func (op *provider) sign(g grant, access string) (string, error) {
	claims := op.entraClaims(g)
	if op.idp.options.Persona == Okta {
		claims = op.oktaClaims(g, access)
	}
	if g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	if change := op.idp.options.Claims; change != nil {
		change(claims)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	key, err := op.signingKey()
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// entraClaims are those of a v2.0 ID Token. sub is pairwise: another application sees
// another sub for the same person; oid is the same everywhere.
func (op *provider) entraClaims(g grant) map[string]any {
	tenant := op.idp.directory.Tenant
	pairwise := sha256.Sum256([]byte(tenant + "|" + g.person.ID + "|" + g.client))
	issued := op.idp.options.Now().Add(-entraBackdate)
	claims := map[string]any{
		"iss": op.idp.Issuer(), "aud": g.client, "tid": tenant, "ver": "2.0",
		"sub": base64.RawURLEncoding.EncodeToString(pairwise[:]), "oid": g.person.ID,
		"iat": issued.Unix(), "nbf": issued.Unix(), "exp": issued.Add(entraLifetime).Unix(),
		"uti": rand.Text(), "rh": "1." + rand.Text(),
	}
	addProfile(claims, g)
	return claims
}

// oktaClaims are those of an organisation's own authorization server.
func (op *provider) oktaClaims(g grant, access string) map[string]any {
	now := op.idp.options.Now()
	sum := sha256.Sum256([]byte(access))
	claims := map[string]any{
		"iss": op.idp.Issuer(), "aud": g.client, "sub": g.person.ID, "ver": 1,
		"iat": now.Unix(), "exp": now.Add(oktaLifetime).Unix(), "auth_time": g.authenticated.Unix(),
		"jti": "ID." + rand.Text(), "amr": []string{"pwd"},
		"at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]),
	}
	addProfile(claims, g)
	if _, ok := claims["email"]; ok {
		claims["email_verified"] = true
	}
	return claims
}

// addProfile adds what the scopes profile and email ask for.
func addProfile(claims map[string]any, g grant) {
	scopes := strings.Fields(g.scope)
	if slices.Contains(scopes, "profile") {
		claims["name"] = g.person.DisplayName()
		claims["preferred_username"] = g.person.UserName
	}
	if slices.Contains(scopes, "email") && g.person.Email != "" {
		claims["email"] = g.person.Email
	}
}

package issuer

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/muster-id/muster/internal/store"
)

// An accessToken is the payload of a JWT access token (RFC 9068 §2.2). aud is
// exactly one application's; roles are that application's roles of the person.
type accessToken struct {
	Issuer     string              `json:"iss"`
	Subject    string              `json:"sub"`
	Audience   string              `json:"aud"`
	ClientID   string              `json:"client_id"`
	Tenant     string              `json:"tenant"`
	IssuedAt   int64               `json:"iat"`
	Expires    int64               `json:"exp"`
	AuthTime   int64               `json:"auth_time,omitempty"`
	TokenID    string              `json:"jti"`
	SessionID  string              `json:"sid"`
	Scope      string              `json:"scope,omitempty"`
	Roles      []string            `json:"roles"`                 // without a scope
	RoleScopes map[string][]string `json:"role_scopes,omitempty"` // role → scopes
	RoleEpoch  int64               `json:"role_epoch"`            // raised when a role is taken away
	Epoch      int64               `json:"client_epoch"`          // raised when the application is switched off
}

// An idToken is the payload of an ID Token (OpenID Connect Core §2). It says who
// signed in, and nothing that is a guess: no e-mail, no name.
type idToken struct {
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"`
	Audience  string `json:"aud"`
	Tenant    string `json:"tenant"`
	IssuedAt  int64  `json:"iat"`
	Expires   int64  `json:"exp"`
	AuthTime  int64  `json:"auth_time,omitempty"`
	Nonce     string `json:"nonce,omitempty"`
	SessionID string `json:"sid"`
}

// A tokenResponse is the answer of the token endpoint (RFC 6749 §5.1).
type tokenResponse struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"` // seconds
	Scope       string `json:"scope,omitempty"`
	IDToken     string `json:"id_token,omitempty"`
}

// sign makes the tokens of a grant. Only store fills a Grant, after the
// transaction that decided on it is durable.
func (i *Issuer) sign(key signer, grant store.Grant) (tokenResponse, error) {
	access, err := compact(key.access, i.accessToken(grant))
	if err != nil {
		return tokenResponse{}, err
	}
	answer := tokenResponse{
		AccessToken: access,
		TokenType:   "Bearer",
		ExpiresIn:   int64(grant.Expires().Sub(grant.IssuedAt()) / time.Second),
		Scope:       grant.Scope(),
	}
	if slices.Contains(strings.Split(grant.Scope(), " "), "openid") {
		answer.IDToken, err = compact(key.id, i.idToken(grant))
	}
	return answer, err
}

func (i *Issuer) accessToken(g store.Grant) accessToken {
	return accessToken{
		Issuer: i.config.PublicURL, Subject: g.Subject(), Audience: g.Audience(), ClientID: g.ClientID(), Tenant: g.Tenant(),
		IssuedAt: g.IssuedAt().Unix(), Expires: g.Expires().Unix(), AuthTime: unix(g.AuthTime()),
		TokenID: g.TokenID(), SessionID: g.SessionID(), Scope: g.Scope(),
		Roles: present(g.Roles()), RoleScopes: g.RoleScopes(), RoleEpoch: g.RoleEpoch(), Epoch: g.ClientEpoch(),
	}
}

func (i *Issuer) idToken(g store.Grant) idToken {
	return idToken{
		Issuer: i.config.PublicURL, Subject: g.Subject(), Audience: g.ClientID(), Tenant: g.Tenant(),
		IssuedAt: g.IssuedAt().Unix(), Expires: g.Expires().Unix(), AuthTime: unix(g.AuthTime()),
		Nonce: g.Nonce(), SessionID: g.SessionID(),
	}
}

// compact signs payload as a compact JWS.
func compact(signer jose.Signer, payload any) (string, error) {
	body, err := json.Marshal(payload)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(body)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// unix is t as a NumericDate; 0, which is left out, where it is not known.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// present writes no roles as [], not as null.
func present(roles []string) []string {
	if roles == nil {
		return []string{}
	}
	return roles
}

package store

import (
	"time"

	"github.com/google/uuid"
)

// A Grant is a decision to let a person in, made durable. Only this package
// fills one, and only the issuer signs one: there is no other way to a token.
type Grant struct {
	user, session, token        uuid.UUID
	tenant, clientID, audience  string
	scope, nonce                string
	roles                       []string
	roleScopes                  map[string][]string
	issued, expires, authMoment time.Time
	roleEpoch, clientEpoch      int64
}

func (f *redeemed) grant(d Decision) Grant {
	return Grant{
		user: f.user, session: f.session, token: newID(), clientID: f.clientID, audience: f.audience,
		scope: f.scope, authMoment: moment(f.authenticated), nonce: f.nonce, roles: d.Roles, roleScopes: d.RoleScopes,
		issued: f.now, expires: f.now.Add(time.Duration(f.tokenSeconds) * time.Second),
		roleEpoch: f.roleEpoch, clientEpoch: f.applicationEpoch,
	}
}

// Subject is the person's id.
func (g Grant) Subject() string { return g.user.String() }

// Tenant is the slug of the person's tenant.
func (g Grant) Tenant() string { return g.tenant }

// Audience is the one application the token is for.
func (g Grant) Audience() string { return g.audience }

// ClientID is the client that redeemed the code.
func (g Grant) ClientID() string { return g.clientID }

// SessionID names the session that the token belongs to.
func (g Grant) SessionID() string { return g.session.String() }

// TokenID is unique to this grant.
func (g Grant) TokenID() string { return g.token.String() }

// Nonce is the application's own, from its authorization request.
func (g Grant) Nonce() string { return g.nonce }

// Scope is the scope that was asked for and granted.
func (g Grant) Scope() string { return g.scope }

// Roles are the application's roles of the person, without a scope.
func (g Grant) Roles() []string { return g.roles }

// RoleScopes are the application's scoped roles of the person.
func (g Grant) RoleScopes() map[string][]string { return g.roleScopes }

// IssuedAt is the database's time of the decision.
func (g Grant) IssuedAt() time.Time { return g.issued }

// Expires is when an access token of this grant ends.
func (g Grant) Expires() time.Time { return g.expires }

func moment(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// AuthTime is when the person proved who they are at their identity provider;
// zero where it did not say.
func (g Grant) AuthTime() time.Time { return g.authMoment }

// RoleEpoch rises whenever a role is taken from the person.
func (g Grant) RoleEpoch() int64 { return g.roleEpoch }

// ClientEpoch rises whenever the application is switched off: what it was given before
// opens nothing again.
func (g Grant) ClientEpoch() int64 { return g.clientEpoch }

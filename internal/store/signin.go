package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/store/registry"
)

// signInLifetime is how long a person may take at the identity provider.
const signInLifetime = 10 * time.Minute

// A SignInRequest is an application's authorization request on its way through
// a connection's identity provider.
type SignInRequest struct {
	Tenant        string `json:"-"` // slug
	ConnectionID  string `json:"-"`
	ClientID      string `json:"client_id"`
	RedirectURI   string `json:"redirect_uri"`
	State         string `json:"state"` // the application's
	Nonce         string `json:"nonce"` // the application's
	CodeChallenge string `json:"code_challenge"`
	Scope         string `json:"scope"`
	MaxAge        *int64 `json:"max_age,omitempty"` // seconds; nil: not asked for
}

// A SignIn is one journey to an identity provider and back.
type SignIn struct {
	Tenant     string
	Connection registry.Connection // with its client secret
	State      string              // of the request to the identity provider: random, used once
	Nonce      string
	Verifier   string // PKCE
	Browser    string // binds the journey to the browser that began it
	Request    SignInRequest

	tenant uuid.UUID
	epoch  int64 // of the connection, when the person was sent away
}

// BeginSignIn keeps an authorization request for ten minutes. Of what the
// journey's secrets are made only the hash of one is stored: nonce, verifier
// and browser binding are derived from the state by the server's key.
func (s *Store) BeginSignIn(ctx context.Context, r SignInRequest) (SignIn, error) {
	tenant, err := s.tenantID(ctx, r.Tenant)
	if err != nil {
		return SignIn{}, err
	}
	connection, epoch, err := s.openConnection(ctx, tenant, r.ConnectionID)
	if err == nil && connection.State != "active" {
		err = ErrNotFound
	}
	if err != nil {
		return SignIn{}, err
	}
	state := random()
	err = s.write(ctx, func() *pgx.Batch {
		b := &pgx.Batch{}
		nameTenant(b, tenant.String(), everyConnection)
		b.Queue(`
			insert into sign_ins (tenant_id, state_hash, connection_id, connection_epoch, request, expires_at)
			values ($1, $2, $3, $4, $5, now() + $6)`, tenant, hash(state), connection.ID, epoch, string(marshal(r)), signInLifetime)
		return b
	})
	if err != nil {
		return SignIn{}, err
	}
	return s.signIn(tenant, r, connection, state), nil
}

// signIn derives the journey's secrets from its state.
func (s *Store) signIn(tenant uuid.UUID, r SignInRequest, c registry.Connection, state string) SignIn {
	return SignIn{
		Tenant: r.Tenant, Connection: c, State: state, Request: r, tenant: tenant,
		Nonce:    s.seal.deriveText("nonce", tenant.String(), c.ID.String(), state),
		Verifier: s.seal.deriveText("verifier", tenant.String(), c.ID.String(), state),
		Browser:  s.seal.deriveText("browser", tenant.String(), c.ID.String(), state),
	}
}

// ResumeSignIn takes up the journey when the browser comes back, before the
// identity provider is asked for anything. It succeeds once. An unknown, used
// or late state, and one of another browser, tenant or connection, are all
// ErrNotFound.
func (s *Store) ResumeSignIn(ctx context.Context, tenantSlug, connectionID, state, browser string) (SignIn, error) {
	tenant, err := s.tenantID(ctx, tenantSlug)
	if err != nil {
		return SignIn{}, err
	}
	connection, err := parseID(connectionID)
	if err != nil {
		return SignIn{}, err
	}
	r := SignInRequest{Tenant: tenantSlug, ConnectionID: connectionID}
	journey := s.signIn(tenant, r, registry.Connection{ID: connection}, state)
	if !sameSecret(journey.Browser, browser) {
		return SignIn{}, ErrNotFound
	}
	var request string
	var epoch int64
	err = s.write(ctx, func() *pgx.Batch {
		b := &pgx.Batch{}
		nameTenant(b, tenant.String(), everyConnection)
		b.Queue(`
			update sign_ins set consumed_at = now()
			where tenant_id = $1 and state_hash = $2 and connection_id = $3 and consumed_at is null and expires_at > now()
			returning request, connection_epoch`, tenant, hash(state), connection).QueryRow(func(row pgx.Row) error { return row.Scan(&request, &epoch) })
		return b
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return SignIn{}, ErrNotFound
	}
	if err != nil {
		return SignIn{}, err
	}
	if err := json.Unmarshal([]byte(request), &r); err != nil {
		return SignIn{}, err
	}
	c, _, err := s.openConnection(ctx, tenant, connectionID)
	resumed := s.signIn(tenant, r, c, state)
	resumed.epoch = epoch
	return resumed, err
}

// openConnection reads a connection with its secret. Whether people may come in
// through it is decided at the mint.
func (s *Store) openConnection(ctx context.Context, tenant uuid.UUID, id string) (c registry.Connection, epoch int64, err error) {
	key, err := parseID(id)
	if err != nil {
		return registry.Connection{}, 0, err
	}
	var sealed []byte
	b := &pgx.Batch{}
	nameTenant(b, tenant.String(), everyConnection)
	b.Queue(`
		select id, name, kind, profile, issuer, coalesce(client_id, ''), client_secret, match_claim, match_attribute, state, epoch
		from connections where tenant_id = $1 and id = $2 and issuer is not null`, tenant, key).
		QueryRow(func(row pgx.Row) error {
			return row.Scan(&c.ID, &c.Name, &c.Kind, &c.Profile, &c.Issuer, &c.ClientID, &sealed, &c.MatchClaim, &c.MatchAttribute, &c.State, &epoch)
		})
	err = s.read(ctx, b)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && c.OnLoopback() && !s.local {
		return registry.Connection{}, 0, ErrNotFound
	}
	if err != nil || sealed == nil {
		return c, epoch, err
	}
	secret, err := s.seal.Decrypt(sealed, registry.SecretPlace(tenant, c.ID))
	if err != nil {
		return registry.Connection{}, 0, errors.New("a connection's client secret does not open with this key-encryption key")
	}
	c.Secret, c.HasSecret = string(secret), true
	return c, epoch, nil
}

// ConnectionsFor lists the connections at which a tenant's people can sign in.
func (s *Store) ConnectionsFor(ctx context.Context, slug string) (registry.Tenant, []registry.Connection, error) {
	tenant, all, err := s.Vendor("").TenantConnections(ctx, slug)
	if err != nil {
		return registry.Tenant{}, nil, registryError(err)
	}
	var open []registry.Connection
	for _, c := range all {
		if c.State == "active" && c.Issuer != "" && (s.local || !c.OnLoopback()) {
			open = append(open, c)
		}
	}
	return tenant, open, nil
}

// TenantByDomain answers the slug of the tenant that owns a verified e-mail domain.
func (s *Store) TenantByDomain(ctx context.Context, domain string) (string, error) {
	var slug string
	err := s.pool.QueryRow(ctx, `
		select t.slug from tenant_domains d join tenants t on t.id = d.tenant_id
		where d.domain = $1 and d.verified_at is not null`, domain).Scan(&slug)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", ErrNotFound
	}
	return slug, readError(ctx, err)
}

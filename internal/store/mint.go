package store

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/muster-id/muster/internal/store/log"
	"github.com/muster-id/muster/internal/store/registry"
)

const (
	sessionLifetime = 12 * time.Hour
	codeLifetime    = time.Minute
)

// An Identity is whom an identity provider says it has signed in, from a
// verified ID Token.
type Identity struct {
	Issuer   string
	Subject  string
	Match    string    // value of the connection's match claim; empty: the token has none
	AuthTime time.Time // zero: not said
	Hint     string    // the name the person signs in with: to diagnose a mismatch, never to match
}

// The gates take the shared locks that Revoke takes alone to switch off a
// tenant, a connection or an application.
const (
	gate = `select pg_advisory_xact_lock_shared(hashtextextended(id, 0)) from `

	signInGate = gate + `(values ($1), ($2), ((select id::text from applications where client_id = $3))) gates(id)`

	codeGate = gate + `(values ($1::text), ((select id::text from applications where client_id = $2)),
		((select connection_id::text from codes where tenant_id = $3 and hash = $4))) gates(id)`
)

// MintCode lets a person in who has just signed in at the connection's
// identity provider, or says why not: it consumes the journey, locks the
// person, decides, binds the identity and records session, code and decision
// in one transaction. The code is for the application's one redemption within
// a minute.
func (s *Store) MintCode(ctx context.Context, signIn SignIn, who Identity) (d Decision, code string, err error) {
	code = newCode(signIn.tenant)
	err = s.transact(ctx, func(tx *transaction) error {
		found, err := s.lockIdentity(tx, signIn, who)
		if err != nil {
			return err
		}
		ad, refusal := choose(found, signIn, who)
		if refusal != nil {
			d = *refusal
			return tx.commit(func(b *pgx.Batch) { queueDecision(b, signIn.tenant, signIn.Connection.ID, d, signIn.Request.ClientID) })
		}
		if err := s.refresh(ctx, signIn.tenant, ad, false, tx.send); err != nil {
			return err
		}
		d = ad.decide()
		d.Position = s.position(signIn.tenant, s.incarnation, ad.xid)
		err = tx.commit(func(b *pgx.Batch) {
			if d.Allowed {
				queueSession(b, signIn, who, ad, code)
			}
			queueDecision(b, signIn.tenant, ad.connection, d, signIn.Request.ClientID)
		})
		if state(err) == "23505" { // another first sign-in has bound the identity beside us
			return errRepeat
		}
		return err
	})
	if err != nil {
		return Decision{}, "", err
	}
	s.woke(signIn.tenant)
	return s.refused(d), code, nil
}

// fitting finds the living users of a connection that an identity fits: the one
// it is bound to, and those whose externalId is the match claim's value. How each is
// held and living end it.
const fitting = `(
		select i.user_id as id from identities i where i.tenant_id = $1 and i.connection_id = $2
		and i.issuer = $3 and i.subject = $4 and i.ended_at is null
		union
		select m.id from users m where m.tenant_id = $1 and m.connection_id = $2
		and m.external_id = nullif($5, '') and m.deleted_at is null
		order by id offset 0
	) fit cross join lateral (
		select * from users where tenant_id = $1 and id = fit.id offset 0 `

const living = `) u where u.connection_id = $2 and u.deleted_at is null`

// lockIdentity is the first trip of a sign-in: gate, consume, lock whoever
// fits, and read them in a statement that began after the lock was granted.
func (s *Store) lockIdentity(tx *transaction, signIn SignIn, who Identity) ([]admission, error) {
	match := who.Match
	if match == "null" {
		match = "" // never a person's identifier
	}
	args := []any{signIn.tenant, signIn.Connection.ID, who.Issuer, who.Subject, match}
	var locked []uuid.UUID
	var found []admission
	consumed := false
	err := tx.open(func(b *pgx.Batch) {
		nameTenant(b, signIn.tenant.String(), everyConnection)
		b.Queue(signInGate, signIn.tenant.String(), signIn.Connection.ID.String(), signIn.Request.ClientID)
		b.Queue(`
			update sign_ins set minted_at = now()
			where tenant_id = $1 and state_hash = $2 and consumed_at is not null and minted_at is null and expires_at > now()`,
			signIn.tenant, hash(signIn.State)).Exec(affected(&consumed))
		b.Queue(`select u.id, true, true from `+fitting+`for share`+living, args...).Query(collect(&locked))
		b.Queue(`select `+admissionColumns+`, exists (select from identities i where i.tenant_id = $1 and i.connection_id = $2
				and i.issuer = $3 and i.subject = $4 and i.ended_at is null),
				c.epoch <> $7
			from tenants t
			join applications a on a.client_id = $6 and t.id = any(a.tenants)
			join connections c on c.tenant_id = t.id and c.id = $2
			cross join `+fitting+living+`
			and t.id = $1 order by u.id`, append(args, signIn.Request.ClientID, signIn.epoch)...).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var ad admission
				if err := rows.Scan(append(ad.targets(), &ad.bound, &ad.moved)...); err != nil {
					return err
				}
				found = append(found, ad)
			}
			return rows.Err()
		})
	})
	switch {
	case err != nil:
		return nil, err
	case !consumed:
		return nil, ErrNotFound
	case !lockedAll(locked, found):
		return nil, errRepeat
	case len(found) == 0:
		return s.diagnose(tx, signIn, who)
	}
	return found, nil
}

func affected(done *bool) func(pgconn.CommandTag) error {
	return func(tag pgconn.CommandTag) error {
		*done = tag.RowsAffected() == 1
		return nil
	}
}

func lockedAll(locked []uuid.UUID, found []admission) bool {
	for _, ad := range found {
		if !slices.Contains(locked, ad.user) {
			return false
		}
	}
	return true
}

// diagnose tells a person who was never provisioned from one who was, under
// another externalId: then the mapping in the identity provider is wrong. It
// answers one admission without a user.
func (s *Store) diagnose(tx *transaction, signIn SignIn, who Identity) ([]admission, error) {
	ad := admission{fault: errNobody}
	b := &pgx.Batch{}
	b.Queue(`
		select t.state, c.state, a.state from tenants t
		join applications a on a.client_id = $3
		join connections c on c.tenant_id = t.id and c.id = $2
		where t.id = $1 and t.id = any(a.tenants)`, signIn.tenant, signIn.Connection.ID, signIn.Request.ClientID).
		QueryRow(func(row pgx.Row) error { return row.Scan(&ad.tenantState, &ad.connectionState, &ad.applicationState) })
	b.Queue(`
		select exists (select from users
			where tenant_id = $1 and connection_id = $2 and deleted_at is null
			and (user_name_key = $3 or id in (select user_id from user_values
				where tenant_id = $1 and connection_id = $2 and attribute = 'emails.value' and value_key = $3)))`,
		signIn.tenant, signIn.Connection.ID, keyOf(who.Hint)).QueryRow(func(row pgx.Row) error { return row.Scan(&ad.bound) })
	err := tx.send(b)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound // the application does not serve this tenant
	}
	return []admission{ad}, err
}

// errNobody marks an admission that has no user.
var errNobody = errors.New("nobody fits the identity")

// choose answers the one person an identity fits, or why there is none.
func choose(found []admission, signIn SignIn, who Identity) (*admission, *Decision) {
	ad := &found[0]
	if len(found) > 1 {
		return nil, &Decision{Reason: AmbiguousIdentity, Detail: fmt.Sprintf("%d living users fit the identity", len(found))}
	}
	if ad.moved && ad.refusal() == "" {
		return nil, &Decision{Reason: Expired, UserID: ad.user, Detail: "the connection was changed while the person was away at the identity provider"}
	}
	if ad.fault != errNobody {
		return ad, nil
	}
	d := &Decision{Reason: NotProvisioned}
	if ad.tenantState != "active" || ad.applicationState != "active" || ad.connectionState != "active" {
		ad.active = true
		d.Reason = ad.refusal()
	} else if ad.bound || who.Match == "" {
		d.Reason, d.Detail = JoinMismatch, mismatch(signIn.Connection, who)
	}
	return nil, d
}

// mismatch says which mapping to change.
func mismatch(c registry.Connection, who Identity) string {
	if who.Match == "" {
		return fmt.Sprintf("the ID Token has no claim %q: let the identity provider send it", c.MatchClaim)
	}
	switch c.Kind {
	case "entra":
		return "the person was provisioned with an externalId that is not the sign-in's objectId: in Entra's provisioning mapping, map objectId (not mailNickname) to externalId, then restart provisioning"
	case "okta":
		return fmt.Sprintf("the person was provisioned with an externalId that is not the sign-in's %s: in Okta's provisioning mapping, map the user's id to externalId", c.MatchClaim)
	}
	return fmt.Sprintf("the person was provisioned with an externalId that is not the sign-in's %s: map the same immutable identifier to both", c.MatchClaim)
}

func queueSession(b *pgx.Batch, signIn SignIn, who Identity, ad *admission, code string) {
	if !ad.bound {
		b.Queue(`
			insert into identities (tenant_id, connection_id, issuer, subject, user_id)
			values ($1, $2, $3, $4, $5)`, signIn.tenant, ad.connection, who.Issuer, who.Subject, ad.user)
	}
	var authenticated *time.Time // null where the identity provider did not say
	if !who.AuthTime.IsZero() {
		authenticated = &who.AuthTime
	}
	session := newID()
	b.Queue(`
		insert into sessions (tenant_id, id, connection_id, user_id, tenant_epoch, connection_epoch, user_epoch, authenticated_at, expires_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, now() + $9)`,
		signIn.tenant, session, ad.connection, ad.user, ad.tenantEpoch, ad.connectionEpoch, ad.epoch, authenticated, sessionLifetime)
	r := signIn.Request
	b.Queue(`
		insert into codes (tenant_id, hash, connection_id, session_id, user_id, application_id, application_epoch, redirect_uri, challenge, nonce, scope, expires_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now() + $12)`,
		signIn.tenant, hash(code), ad.connection, session, ad.user, ad.application, ad.applicationEpoch,
		r.RedirectURI, r.CodeChallenge, r.Nonce, r.Scope, codeLifetime)
}

// queueDecision records a decision about a person in the tenant's log.
func queueDecision(b *pgx.Batch, tenant, connection uuid.UUID, d Decision, client string) {
	kind, subject := "sign_in.allowed", d.UserID
	if !d.Allowed {
		kind = "sign_in.refused"
	}
	if subject == uuid.Nil {
		subject = connection
	}
	body := map[string]any{"application": client, "reason": d.Reason, "roles": d.Roles}
	log.Queue(b, log.Change{
		Tenant: tenant, Connection: uuid.NullUUID{UUID: connection, Valid: true}, Subject: subject, Kind: kind,
		Actor: "sign-in", Request: newID(), Body: marshal(body),
	})
}

// A code names its tenant, so that it is looked up under row-level security;
// the rest is random.
func newCode(tenant uuid.UUID) string {
	return base64.RawURLEncoding.EncodeToString(tenant[:]) + random()
}

func codeTenant(code string) (uuid.UUID, bool) {
	const prefix = 22 // of 16 bytes in base64url
	if len(code) != prefix+registry.SecretLength {
		return uuid.Nil, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(code[:prefix])
	if err != nil {
		return uuid.Nil, false
	}
	tenant, err := uuid.FromBytes(raw)
	return tenant, err == nil
}

// A CodeRedemption is an application's request to exchange a code for tokens.
type CodeRedemption struct {
	ClientID, Secret, Code, RedirectURI, Verifier string
}

// A redeemed is what the first trip of a redemption found.
type redeemed struct {
	admission
	authentic, consumed                     bool
	session                                 uuid.UUID
	sessionUser, sessionTenant, sessionConn int64 // epochs at the sign-in
	codeApplication                         int64 // epoch at the sign-in
	living                                  bool  // the session has not ended
	nonce, scope                            string
	authenticated                           *time.Time
}

// MintToken redeems a code: it consumes it once, looks at the person again and
// answers a Grant, which alone can be signed. A person who is refused costs the
// code. ErrUnauthenticated: the client does not prove itself. ErrInvalidGrant:
// everything that is wrong with the code.
func (s *Store) MintToken(ctx context.Context, r CodeRedemption) (d Decision, g Grant, err error) {
	tenant, ok := codeTenant(r.Code)
	if !ok {
		tenant = uuid.Nil
	}
	err = s.transact(ctx, func(tx *transaction) error {
		f, err := s.lockCode(tx, tenant, r)
		if err != nil {
			return err
		}
		if err := s.refresh(ctx, tenant, &f.admission, false, tx.send); err != nil {
			return err
		}
		d = f.decide()
		if d.Allowed && !f.holds() {
			d = Decision{Reason: Expired, UserID: f.user}
		}
		d.Position = s.position(tenant, s.incarnation, f.xid)
		g = Grant{}
		return tx.commit(func(b *pgx.Batch) {
			if d.Allowed {
				g = f.grant(d)
			} else {
				b.Queue(`update sessions set ended_at = now() where tenant_id = $1 and id = $2 and ended_at is null`, tenant, f.session)
			}
			queueDecision(b, tenant, f.connection, d, f.clientID)
		})
	})
	if err != nil {
		return Decision{}, Grant{}, err
	}
	s.woke(tenant)
	if d.Allowed {
		g.tenant, err = s.slug(ctx, tenant)
	}
	return s.refused(d), g, err
}

// holds reports whether nothing has ended the session since the sign-in.
func (f *redeemed) holds() bool {
	return f.living && f.sessionUser == f.epoch && f.sessionTenant == f.tenantEpoch &&
		f.sessionConn == f.connectionEpoch && f.codeApplication == f.applicationEpoch
}

// lockCode is the first trip of a redemption: gate, consume, lock the person,
// and read in a statement that began after the lock was granted.
func (s *Store) lockCode(tx *transaction, tenant uuid.UUID, r CodeRedemption) (*redeemed, error) {
	f := &redeemed{}
	var reused *uuid.UUID
	code := hash(r.Code)
	challenge := sha256.Sum256([]byte(r.Verifier))
	err := tx.open(func(b *pgx.Batch) {
		nameTenant(b, tenant.String(), everyConnection)
		b.Queue(codeGate, tenant.String(), r.ClientID, tenant, code)
		b.Queue(`select exists (select from applications where client_id = $1 and (secret_hash = $2 or secret_hash is null and $3))`,
			r.ClientID, hash(r.Secret), r.Secret == "").QueryRow(func(row pgx.Row) error { return row.Scan(&f.authentic) })
		b.Queue(`
			update codes k set consumed_at = now() from applications a
			where k.tenant_id = $1 and k.hash = $2 and k.consumed_at is null and k.expires_at > now()
			and k.redirect_uri = $3 and k.challenge = $4 and a.id = k.application_id
			and a.client_id = $5 and (a.secret_hash = $6 or a.secret_hash is null and $7)`,
			tenant, code, r.RedirectURI, base64.RawURLEncoding.EncodeToString(challenge[:]), r.ClientID, hash(r.Secret), r.Secret == "").
			Exec(affected(&f.consumed))
		b.Queue(`select u.id from users u
			where u.tenant_id = $1 and u.id = (select user_id from codes where tenant_id = $1 and hash = $2) for share`, tenant, code)
		f.queue(b, tenant, code)
		b.Queue(`select k.session_id from codes k join applications a on a.id = k.application_id and a.client_id = $3
			where k.tenant_id = $1 and k.hash = $2 and k.consumed_at is not null`, tenant, code, r.ClientID).
			Query(func(rows pgx.Rows) (err error) {
				ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
				if len(ids) == 1 {
					reused = &ids[0]
				}
				return err
			})
	})
	switch {
	case err != nil:
		return nil, err
	case !f.authentic:
		return nil, ErrUnauthenticated
	case !f.consumed && reused != nil:
		return nil, s.endReused(tx, tenant, *reused)
	case !f.consumed || f.user == uuid.Nil:
		return nil, ErrInvalidGrant
	}
	return f, nil
}

// queue reads the person, the session and the code together. A person who was
// deleted since is read as inactive.
func (f *redeemed) queue(b *pgx.Batch, tenant uuid.UUID, code []byte) {
	b.Queue(`select `+admissionColumns+`, u.deleted_at is null, k.session_id, s.user_epoch, s.tenant_epoch, s.connection_epoch, k.application_epoch,
			s.ended_at is null and s.expires_at > now(), k.nonce, k.scope, s.authenticated_at
		from codes k
		join tenants t on t.id = k.tenant_id
		join applications a on a.id = k.application_id and t.id = any(a.tenants)
		join connections c on c.tenant_id = k.tenant_id and c.id = k.connection_id
		join users u on u.tenant_id = k.tenant_id and u.id = k.user_id
		join sessions s on s.tenant_id = k.tenant_id and s.id = k.session_id
		where k.tenant_id = $1 and k.hash = $2`, tenant, code).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			exists := false
			err := rows.Scan(append(f.targets(), &exists, &f.session, &f.sessionUser, &f.sessionTenant, &f.sessionConn, &f.codeApplication,
				&f.living, &f.nonce, &f.scope, &f.authenticated)...)
			if err != nil {
				return err
			}
			f.active = f.active && exists
		}
		return rows.Err()
	})
}

// endReused ends the session of a code that came a second time: one of the two
// who held it stole it (RFC 6749 §4.1.2).
func (s *Store) endReused(tx *transaction, tenant, session uuid.UUID) error {
	err := tx.commit(func(b *pgx.Batch) {
		b.Queue(`update sessions set ended_at = now() where tenant_id = $1 and id = $2 and ended_at is null`, tenant, session)
	})
	if err != nil {
		return err
	}
	return ErrInvalidGrant
}

func sameSecret(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func (s *Store) slug(ctx context.Context, tenant uuid.UUID) (string, error) {
	var slug string
	s.slugs.Range(func(key, id any) bool {
		if id == tenant {
			slug = key.(string)
		}
		return slug == ""
	})
	if slug != "" {
		return slug, nil
	}
	err := s.pool.QueryRow(ctx, `select slug from tenants where id = $1`, tenant).Scan(&slug)
	return slug, readError(ctx, err)
}

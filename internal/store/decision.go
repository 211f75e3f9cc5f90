package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/rolemap"
	"github.com/muster-id/muster/internal/store/registry"
)

// A Decision says whether a person may enter an application now, and as what.
type Decision struct {
	Allowed     bool
	Reason      Reason // why not; empty where allowed
	UserID      uuid.UUID
	UserName    string
	DisplayName string
	Roles       []string            // without a scope, sorted
	RoleScopes  map[string][]string // role → scopes
	RuleSet     int64               // the published version
	Position    string              // what this decision has seen; sealed for the tenant
	Detail      string              // for the operator's log: what to change
}

// A token carries at most this much (design §4).
const (
	maxRoles     = 200
	maxRoleBytes = 8 << 10
)

// An admission is everything about one person and one application that decides
// whether the person may enter: read in one statement, without a lock in a
// check and after the lock in a mint.
type admission struct {
	tenantState, connectionState, applicationState string
	tenantEpoch, connectionEpoch, applicationEpoch int64
	derivation, ruleSet                            int64

	application       uuid.UUID
	clientID          string
	audience          string
	allowNoRole       bool
	tokenSeconds      int
	user, connection  uuid.UUID
	active, locked    bool
	fresh             bool
	epoch, roleEpoch  int64
	userName, display string
	held              []string // role@scope of this application
	now               time.Time
	xid               int64 // every transaction up to it is seen
	bound             bool  // the identity asked for is bound to the user
	moved             bool  // the connection is not the one the person was sent to

	fault error // the rules cannot be read
}

// admissionColumns are read from tenants t, applications a, connections c and
// users u. Roles are the application's own: its client id is their prefix.
const admissionColumns = `t.state, c.state, a.state, t.epoch, c.epoch, a.epoch, t.derivation, coalesce(t.rule_set, 0),
	a.id, a.client_id, a.audience, a.allow_no_role, a.token_seconds, u.id, u.connection_id, u.active, u.locked,
	coalesce(u.derived = t.derivation and (u.derived_until is null or u.derived_until > now()), false),
	u.epoch, u.role_epoch, coalesce(u.resource->>'userName', ''), coalesce(u.resource->>'displayName', ''),
	array(select h.role || '@' || h.scope from assignments h
		where h.tenant_id = u.tenant_id and h.user_id = u.id and h.until_change is null
		and starts_with(h.role, a.client_id || '.') order by 1),
	now(), pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1`

func (ad *admission) targets() []any {
	return []any{
		&ad.tenantState, &ad.connectionState, &ad.applicationState, &ad.tenantEpoch, &ad.connectionEpoch, &ad.applicationEpoch,
		&ad.derivation, &ad.ruleSet, &ad.application, &ad.clientID, &ad.audience, &ad.allowNoRole, &ad.tokenSeconds,
		&ad.user, &ad.connection, &ad.active, &ad.locked, &ad.fresh, &ad.epoch, &ad.roleEpoch, &ad.userName, &ad.display,
		&ad.held, &ad.now, &ad.xid,
	}
}

// decide is the one place that says yes. The person's roles must have been
// made fresh before.
func (ad *admission) decide() Decision {
	d := Decision{UserID: ad.user, UserName: ad.userName, DisplayName: ad.display, RuleSet: ad.ruleSet}
	d.Reason = ad.refusal()
	if d.Reason != "" {
		return d
	}
	d.Roles, d.RoleScopes = split(ad.held)
	switch {
	case len(ad.held) > maxRoles || bytesOf(ad.held) > maxRoleBytes:
		d.Reason = TooManyRoles
	case len(ad.held) == 0 && ad.fault != nil:
		d.Reason, d.Detail = RulesUnreadable, ad.fault.Error()
	case len(ad.held) == 0 && !ad.allowNoRole:
		d.Reason = NoRole
	default:
		d.Allowed = true
	}
	if !d.Allowed {
		d.Roles, d.RoleScopes = nil, nil
	}
	return d
}

// refusal is why the person must not enter whatever their roles.
func (ad *admission) refusal() Reason {
	switch {
	case ad.tenantState != "active":
		return TenantSuspended
	case ad.applicationState != "active":
		return ApplicationDisabled
	case ad.connectionState != "active":
		return ConnectionDisabled
	case ad.locked:
		return Locked
	case !ad.active:
		return Inactive
	}
	return ""
}

// split parts role@scope into the roles without and with a scope.
func split(held []string) (roles []string, scopes map[string][]string) {
	for _, text := range held {
		role, scope, _ := strings.Cut(text, "@")
		if scope == "" {
			if !slices.Contains(roles, role) {
				roles = append(roles, role)
			}
			continue
		}
		if scopes == nil {
			scopes = map[string][]string{}
		}
		if !slices.Contains(scopes[role], scope) {
			scopes[role] = append(scopes[role], scope)
		}
	}
	return roles, scopes
}

func bytesOf(texts []string) (n int) {
	for _, text := range texts {
		n += len(text)
	}
	return n
}

// A sender makes one trip: the pool for a check, the transaction for a mint.
type sender func(*pgx.Batch) error

// refresh gives a stale person the roles that follow from the facts as they
// are now. It evaluates in memory and writes nothing (design §3, Fresh and
// stale). Rules and facts are of one moment: a mint holds the person, a check
// reads in one snapshot.
func (s *Store) refresh(ctx context.Context, tenant uuid.UUID, ad *admission, snapshot bool, send sender) error {
	if ad.fresh || ad.refusal() != "" {
		return nil
	}
	for range tries {
		set, err := s.settingsFor(ctx, tenant, ad.derivation)
		if err != nil {
			return err
		}
		p, err := readFacts(tenant, ad, snapshot, send)
		if err != nil {
			return err
		}
		if set.derivation == ad.derivation {
			if err := p.parse(set.userType()); err != nil {
				return err
			}
			ad.derive(ctx, set, p)
			return nil
		}
	}
	return ErrUnavailable // the rules change faster than they can be read
}

// readFacts reads the person, the groups and the derivation counter, which says
// by which schemas the person's attributes are to be parsed.
func readFacts(tenant uuid.UUID, ad *admission, snapshot bool, send sender) (*person, error) {
	p := &person{}
	b := &pgx.Batch{}
	if snapshot {
		b.Queue(`begin isolation level repeatable read read only`)
	}
	nameTenant(b, tenant.String(), everyConnection)
	b.Queue(`select derivation from tenants where id = $1`, tenant).QueryRow(func(row pgx.Row) error { return row.Scan(&ad.derivation) })
	b.Queue(`select `+personColumns+` from users u where u.tenant_id = $1 and u.id = $2`, tenant, ad.user).QueryRow(p.scan)
	queueGroups(b, circle{tenant: tenant, users: []uuid.UUID{ad.user}}, func(_ uuid.UUID, g rolemap.Group, direct bool) { p.join(g, direct) })
	if snapshot {
		b.Queue(`commit`)
	}
	return p, send(b)
}

// derive replaces what the admission says about the person by what the rules
// make of the facts.
func (ad *admission) derive(ctx context.Context, set *settings, p *person) {
	ad.active, ad.locked = p.active && !p.deleted, p.locked
	ad.held, ad.fault = nil, set.fault
	for _, a := range set.derive(ctx, p).wanted {
		if strings.HasPrefix(a.Role, ad.clientID+".") {
			ad.held = append(ad.held, a.Role+"@"+a.Scope)
		}
	}
	slices.Sort(ad.held)
}

// settingsFor answers the settings of a derivation counter just read. Where the
// tenant has moved on in the meantime, the newer ones: never older.
func (s *Store) settingsFor(ctx context.Context, tenant uuid.UUID, derivation int64) (*settings, error) {
	if set := s.settings.load(tenant); set != nil && set.derivation >= derivation {
		return set, nil
	}
	set, err := s.readSettings(ctx, tenant)
	if err == nil {
		s.settings.store(tenant, set)
	}
	return set, err
}

// A CheckRequest asks for one person, by id or by identity, on behalf of an
// application that proves itself.
type CheckRequest struct {
	Tenant, ClientID, Secret    string
	UserID                      string // or:
	Connection, Issuer, Subject string
	AtLeast                     string // a position that the answer must have seen
}

// Check answers whether a person may enter the asking application now: one
// round trip, no lock, no row written. A tenant, application, secret or
// pairing that does not hold is ErrUnauthenticated, all alike.
func (s *Store) Check(ctx context.Context, r CheckRequest) (Decision, error) {
	if !strings.HasPrefix(r.Secret, registry.ClientPrefix) {
		return Decision{}, ErrUnauthenticated
	}
	tenant, err := s.checkedTenant(ctx, r)
	if err != nil {
		return Decision{}, err
	}
	found, seen, err := s.readCheck(ctx, tenant, r)
	nobody := Decision{Position: s.position(tenant, s.incarnation, seen.xid)}
	switch {
	case err != nil:
		return Decision{}, err
	case !seen.visible:
		return Decision{}, ErrNotYet
	case len(found) == 0:
		nobody.Reason = NotProvisioned
		return s.refused(nobody), nil
	case len(found) > 1:
		nobody.Reason = AmbiguousIdentity
		return s.refused(nobody), nil
	}
	ad := &found[0]
	err = s.refresh(ctx, tenant, ad, true, func(b *pgx.Batch) error { return s.read(ctx, b) })
	if err != nil {
		return Decision{}, err
	}
	d := ad.decide()
	d.Position = s.position(tenant, s.incarnation, ad.xid)
	return s.refused(d), nil
}

// checkedTenant answers the id of the tenant that a check names. One that is not
// known here is looked for beside the very questions of a check, asked of nobody's
// tenant: one that does not exist costs what one costs whose secret does not hold.
func (s *Store) checkedTenant(ctx context.Context, r CheckRequest) (uuid.UUID, error) {
	if id, ok := s.slugs.Load(r.Tenant); ok {
		return id.(uuid.UUID), nil
	}
	var seen sight
	found := uuid.Nil
	b := &pgx.Batch{}
	nameTenant(b, uuid.Nil.String(), everyConnection)
	queueAuthentic(b, uuid.Nil, r.ClientID, r.Secret, &seen)
	queueAsked(b, uuid.Nil, r, func(pgx.Rows) error { return nil })
	b.Queue(`select id from tenants where slug = $1`, r.Tenant).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := rows.Scan(&found); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err := s.read(ctx, b); err != nil {
		return uuid.Nil, err
	}
	if found == uuid.Nil {
		return uuid.Nil, ErrUnauthenticated
	}
	s.slugs.Store(r.Tenant, found)
	return found, nil
}

// refused counts a decision that is no.
func (s *Store) refused(d Decision) Decision {
	if !d.Allowed {
		s.metrics.refused(d.Reason)
	}
	return d
}

// readCheck is the one round trip of a check. The application is verified in
// it; what it must have seen is asked before the person is read.
func (s *Store) readCheck(ctx context.Context, tenant uuid.UUID, r CheckRequest) (found []admission, seen sight, err error) {
	b := &pgx.Batch{}
	nameTenant(b, tenant.String(), everyConnection)
	if seen.visible = r.AtLeast == ""; !seen.visible {
		incarnation, xid, ok := s.openPosition(tenant, r.AtLeast)
		if !ok {
			return nil, seen, s.authenticate(ctx, tenant, r)
		}
		b.Queue(`select i.incarnation = $1 and pg_visible_in_snapshot($2::text::xid8, pg_current_snapshot()) from instance i`, incarnation, xid).
			QueryRow(func(row pgx.Row) error { return row.Scan(&seen.visible) })
	}
	queueAuthentic(b, tenant, r.ClientID, r.Secret, &seen)
	collect := func(rows pgx.Rows) error {
		found = nil
		for rows.Next() {
			var ad admission
			if err := rows.Scan(ad.targets()...); err != nil {
				return err
			}
			found = append(found, ad)
		}
		return rows.Err()
	}
	queueAsked(b, tenant, r, collect)
	if err := s.read(ctx, b); err != nil {
		return nil, seen, err
	}
	if !seen.authentic {
		return nil, seen, ErrUnauthenticated
	}
	return found, seen, nil
}

// A sight is what a check has seen besides the person.
type sight struct {
	visible   bool // the position asked for
	authentic bool // the application
	xid       int64
}

// queueAuthentic asks whether the application's secret holds and whether the
// tenant is one of its own.
func queueAuthentic(b *pgx.Batch, tenant uuid.UUID, clientID, secret string, seen *sight) {
	b.Queue(`select exists (select from applications where client_id = $1 and secret_hash = $2 and $3 = any(tenants)),
			pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1`,
		clientID, hash(secret), tenant).QueryRow(func(row pgx.Row) error { return row.Scan(&seen.authentic, &seen.xid) })
}

func (s *Store) authenticate(ctx context.Context, tenant uuid.UUID, r CheckRequest) error {
	b := &pgx.Batch{}
	var seen sight
	queueAuthentic(b, tenant, r.ClientID, r.Secret, &seen)
	if err := s.read(ctx, b); err != nil {
		return err
	}
	if !seen.authentic {
		return ErrUnauthenticated
	}
	return nil
}

func queueAsked(b *pgx.Batch, tenant uuid.UUID, r CheckRequest, collect func(pgx.Rows) error) {
	const of = `
		from tenants t
		join applications a on a.client_id = $2 and t.id = any(a.tenants)
		cross join (`
	const fit = `) fit
		cross join lateral (select * from users where tenant_id = $1 and id = fit.id offset 0) u
		join connections c on c.tenant_id = t.id and c.id = u.connection_id
		where t.id = $1 and u.deleted_at is null limit 2`
	if r.UserID != "" {
		id, err := parseID(r.UserID)
		if err != nil {
			id = uuid.Nil // nobody's
		}
		b.Queue(`select `+admissionColumns+of+`select $3::uuid as id`+fit, tenant, r.ClientID, id).Query(collect)
		return
	}
	// A bound identity is the person; an unbound subject is, where the
	// connection matches people by it.
	b.Queue(`select `+admissionColumns+of+`
			select i.user_id as id from identities i join connections k on k.tenant_id = i.tenant_id and k.id = i.connection_id
			where i.tenant_id = $1 and k.name = $3 and k.issuer = $4 and i.issuer = $4 and i.subject = $5 and i.ended_at is null
			union
			select m.id from connections k join users m on m.tenant_id = k.tenant_id and m.connection_id = k.id
			where k.tenant_id = $1 and k.name = $3 and k.issuer = $4 and k.match_claim = 'sub'
			and m.external_id = $5 and m.deleted_at is null`+fit, tenant, r.ClientID, r.Connection, r.Issuer, r.Subject).Query(collect)
}

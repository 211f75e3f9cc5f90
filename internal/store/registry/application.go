package registry

import (
	"context"
	"errors"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// An Application is something of the vendor's that people sign in to.
type Application struct {
	ID            uuid.UUID     `json:"id"`
	ClientID      string        `json:"client_id"` // also the prefix of its roles
	Name          string        `json:"name"`
	Audience      string        `json:"audience"`
	RedirectURIs  []string      `json:"redirect_uris"` // compared byte by byte
	Tenants       []uuid.UUID   `json:"tenants"`       // whose people may enter
	Public        bool          `json:"public"`        // no secret: PKCE alone
	AllowNoRole   bool          `json:"allow_no_role"` // a person without a role may enter
	TokenLifetime time.Duration `json:"token_lifetime"`
	State         string        `json:"state"` // active | disabled
}

// NewApplication is what an application is made of.
type NewApplication struct {
	ClientID     string
	Name         string
	Audience     string // of its tokens; empty: the client id
	RedirectURIs []string
	Tenants      []string // slugs
	Roles        []string // without the prefix; every named tenant may grant them
	Privileged   []string // those of Roles that a rule may grant only to groups named by id
	Public       bool
	AllowNoRole  bool
}

var clientIDs = regexp.MustCompile(`^[a-z][a-z0-9-]{1,38}[a-z0-9]$`)
var roleNames = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,62}$`)

func (n *NewApplication) check() error {
	if !clientIDs.MatchString(n.ClientID) {
		return bad("client id %q: use 3 to 40 lower-case letters, digits and hyphens, beginning with a letter", n.ClientID)
	}
	seen := map[string]bool{}
	for _, role := range slices.Concat(n.Roles, n.Privileged) {
		if !roleNames.MatchString(role) {
			return bad("role %q: use lower-case letters, digits, dot, hyphen and underscore", role)
		}
		if seen[role] {
			return bad("role %q is named twice", role)
		}
		seen[role] = true
	}
	for _, uri := range n.RedirectURIs {
		if err := checkRedirect(uri); err != nil {
			return err
		}
	}
	if n.Name == "" {
		n.Name = n.ClientID
	}
	if n.Audience == "" {
		n.Audience = n.ClientID
	}
	return nil
}

// roles are the full names of the application's roles, the privileged ones last.
func (n *NewApplication) roles() []string {
	var names []string
	for _, role := range slices.Concat(n.Roles, n.Privileged) {
		names = append(names, n.ClientID+"."+role)
	}
	return names
}

// checkRedirect allows https, and http on loopback for programs on the
// person's own machine (RFC 8252 §7.3).
func checkRedirect(uri string) error {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || strings.Contains(uri, "#") || strings.ContainsAny(uri, " \\\t\r\n*") {
		return bad("redirect URI %q: use an absolute URL without user or fragment", uri)
	}
	if u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname(), net.ParseIP(u.Hostname())) {
		return nil
	}
	return bad("redirect URI %q: use https", uri)
}

// AddApplication registers an application, its roles, and whose people may
// enter, in one transaction. It answers the client secret, the only time it is
// shown; a public client has none. A [TenantError] names a tenant that does not
// exist.
func (v *Vendor) AddApplication(ctx context.Context, n NewApplication) (string, Application, error) {
	if err := n.check(); err != nil {
		return "", Application{}, err
	}
	a := Application{
		ID: newID(), ClientID: n.ClientID, Name: n.Name, Audience: n.Audience, RedirectURIs: n.RedirectURIs, Tenants: []uuid.UUID{},
		Public: n.Public, AllowNoRole: n.AllowNoRole, TokenLifetime: 5 * time.Minute, State: "active",
	}
	var plain string
	var hash []byte
	if !n.Public {
		plain, hash, _ = secret(ClientPrefix)
	}
	err := v.kernel.Transact(ctx, uuid.Nil, func(tx pgx.Tx) (err error) {
		if err := claim(ctx, tx, a); err != nil {
			return err
		}
		if a.Tenants, err = named(ctx, tx, n.Tenants); err != nil {
			return err
		}
		if err := insertApplication(ctx, tx, n, a, hash); err != nil {
			return err
		}
		for _, tenant := range a.Tenants {
			if err := v.letIn(ctx, tx, tenant, a, "application.added"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return "", Application{}, err
	}
	for _, tenant := range a.Tenants {
		v.kernel.Changed(tenant)
	}
	return plain, a, nil
}

// AllowTenant lets the people of more tenants into an application, and those
// tenants grant all of its roles, in one transaction. What holds already for a
// tenant stays as it is. It answers the application; ErrNotFound where no
// application has the client id, a [TenantError] for an unknown tenant.
func (v *Vendor) AllowTenant(ctx context.Context, clientID string, slugs ...string) (Application, error) {
	var a Application
	var fresh []uuid.UUID
	err := v.kernel.Transact(ctx, uuid.Nil, func(tx pgx.Tx) (err error) {
		if a, err = application(ctx, tx, `where client_id = $1 for update`, clientID); err != nil {
			return err
		}
		asked, err := named(ctx, tx, slugs)
		if err != nil {
			return err
		}
		fresh = slices.DeleteFunc(asked, func(id uuid.UUID) bool { return slices.Contains(a.Tenants, id) })
		a.Tenants = slices.Concat(a.Tenants, fresh)
		if _, err := tx.Exec(ctx, `update applications set tenants = $2 where id = $1`, a.ID, a.Tenants); err != nil {
			return err
		}
		for _, tenant := range fresh {
			if err := v.letIn(ctx, tx, tenant, a, "application.allowed"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Application{}, err
	}
	for _, tenant := range fresh {
		v.kernel.Changed(tenant)
	}
	return a, nil
}

// claim refuses an application that would be taken for another: a token names
// its application by the audience, and an application may take its client id for
// that. Applications are registered one after the other.
func claim(ctx context.Context, tx pgx.Tx, a Application) error {
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended('applications', 0))`); err != nil {
		return err
	}
	var other string
	err := tx.QueryRow(ctx, `
		select client_id from applications
		where client_id in ($1, $2) or audience in ($1, $2)
		order by client_id <> $1 limit 1`, a.ClientID, a.Audience).Scan(&other)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return err
	case other == a.ClientID:
		return bad("application %q exists already", other)
	}
	return bad("application %q has the client id or audience that %q (audience %q) would have: its tokens would open both", other, a.ClientID, a.Audience)
}

// named answers the ids of tenants, each once, in the order in which every
// transaction locks them; a [TenantError] where one does not exist.
func named(ctx context.Context, tx pgx.Tx, slugs []string) ([]uuid.UUID, error) {
	ids := make([]uuid.UUID, 0, len(slugs))
	for _, slug := range slugs {
		t, err := tenant(ctx, tx, slug)
		if errors.Is(err, ErrNotFound) {
			return nil, &TenantError{slug}
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, t.ID)
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(ids), nil
}

func insertApplication(ctx context.Context, tx pgx.Tx, n NewApplication, a Application, hash []byte) error {
	if a.RedirectURIs == nil {
		a.RedirectURIs = []string{}
	}
	_, err := tx.Exec(ctx, `
		insert into applications (id, client_id, name, secret_hash, audience, redirect_uris, tenants, allow_no_role)
		values ($1, $2, $3, $4, $5, $6, $7, $8)`,
		a.ID, a.ClientID, a.Name, hash, a.Audience, a.RedirectURIs, a.Tenants, a.AllowNoRole)
	if err != nil {
		return err
	}
	for i, role := range n.roles() {
		_, err := tx.Exec(ctx, `insert into roles (name, application_id, privileged) values ($1, $2, $3)`,
			role, a.ID, i >= len(n.Roles))
		if err != nil {
			return err
		}
	}
	return nil
}

// letIn lets a tenant grant all roles of an application, and records, as kind,
// that its people may enter. The tenant's log names no other tenant.
func (v *Vendor) letIn(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, a Application, kind string) error {
	if err := v.kernel.Name(ctx, tx, tenant); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		insert into tenant_roles (tenant_id, role)
		select $1, name from roles where application_id = $2
		on conflict do nothing`, tenant, a.ID)
	if err != nil {
		return err
	}
	if err := raiseDerivation(ctx, tx, tenant); err != nil {
		return err
	}
	a.Tenants = []uuid.UUID{tenant}
	return v.record(ctx, tx, tenant, a.ID, kind, a)
}

// Applications lists all applications by client id.
func (v *Vendor) Applications(ctx context.Context) ([]Application, error) {
	var list []Application
	err := v.kernel.Transact(ctx, uuid.Nil, func(tx pgx.Tx) (err error) {
		list, err = applications(ctx, tx, `order by client_id`)
		return err
	})
	return list, err
}

// Application finds an application by its client id.
func (v *Vendor) Application(ctx context.Context, clientID string) (Application, error) {
	var a Application
	err := v.kernel.Transact(ctx, uuid.Nil, func(tx pgx.Tx) (err error) {
		a, err = application(ctx, tx, `where client_id = $1`, clientID)
		return err
	})
	return a, err
}

// application reads the one that rest selects.
func application(ctx context.Context, tx pgx.Tx, rest string, args ...any) (Application, error) {
	list, err := applications(ctx, tx, rest, args...)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Application{}, err
	}
	return list[0], nil
}

func applications(ctx context.Context, tx pgx.Tx, rest string, args ...any) ([]Application, error) {
	rows, err := tx.Query(ctx, `
		select id, client_id, name, audience, redirect_uris, tenants, secret_hash is null, allow_no_role,
			make_interval(secs => token_seconds), state
		from applications `+rest, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Application])
}

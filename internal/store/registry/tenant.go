package registry

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// A Tenant is one customer of the vendor.
type Tenant struct {
	ID      uuid.UUID `json:"id"`
	Slug    string    `json:"slug"`
	Name    string    `json:"name"`
	State   string    `json:"state"` // active | suspended
	Created time.Time `json:"created"`
	Rate    int       `json:"requests_per_second,omitempty"` // of its provisioning clients; 0: as the server allows any
}

// NewTenant is what a tenant is made of.
type NewTenant struct {
	Slug    string   // 3 to 40 of a–z, 0–9 and hyphen; stands in every URL of the tenant
	Name    string   // for people
	Domains []string // e-mail domains whose ownership the vendor has verified
}

// reserved slugs would be mistaken for something else in an address.
var reserved = []string{"www", "api", "admin", "login", "auth", "scim", "static", "muster", "localhost", "default"}

// domains are what follows the @ of an e-mail address.
var domains = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

var slugs = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$`)

// IsSlug reports whether a tenant could have this slug.
func IsSlug(text string) bool { return slugs.MatchString(text) }

// CreateTenant adds a tenant. Slugs are never reused.
func (v *Vendor) CreateTenant(ctx context.Context, n NewTenant) (Tenant, error) {
	if !slugs.MatchString(n.Slug) || strings.HasPrefix(n.Slug, "xn--") || slices.Contains(reserved, n.Slug) {
		return Tenant{}, bad("tenant %q: use 3 to 40 lower-case letters, digits and hyphens, and no reserved word", n.Slug)
	}
	if n.Name == "" {
		n.Name = n.Slug
	}
	var err error
	if n.Domains, err = domainsOf(n.Domains); err != nil {
		return Tenant{}, err
	}
	t := Tenant{ID: newID(), Slug: n.Slug, Name: n.Name, State: "active"}
	err = v.kernel.Transact(ctx, t.ID, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `insert into tenants (id, slug, name) values ($1, $2, $3) returning created_at`,
			t.ID, t.Slug, t.Name).Scan(&t.Created)
		if taken(err) {
			return bad("tenant %q exists already; a slug is never used again", n.Slug)
		}
		if err != nil {
			return err
		}
		for _, domain := range n.Domains {
			_, err := tx.Exec(ctx, `insert into tenant_domains (domain, tenant_id, verified_at) values ($1, $2, now())`, domain, t.ID)
			if taken(err) {
				return bad("domain %q belongs to another tenant", domain)
			}
			if err != nil {
				return err
			}
		}
		return v.record(ctx, tx, t.ID, t.ID, "tenant.created", n)
	})
	if err != nil {
		return Tenant{}, err
	}
	return t, nil
}

// domainsOf are the domains in lower case, each once.
func domainsOf(names []string) ([]string, error) {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = strings.ToLower(name)
		if !domains.MatchString(list[i]) {
			return nil, bad("domain %q: use a host name in ASCII, such as example.com", name)
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// Tenants lists all tenants by slug.
func (v *Vendor) Tenants(ctx context.Context) ([]Tenant, error) {
	var tenants []Tenant
	err := v.kernel.Transact(ctx, uuid.Nil, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select id, slug, name, state, created_at, coalesce(requests_per_second, 0) from tenants order by slug`)
		if err != nil {
			return err
		}
		tenants, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Tenant])
		return err
	})
	return tenants, err
}

// Tenant finds a tenant by its slug.
func (v *Vendor) Tenant(ctx context.Context, slug string) (Tenant, error) {
	var t Tenant
	err := v.kernel.Transact(ctx, uuid.Nil, func(tx pgx.Tx) (err error) {
		t, err = tenant(ctx, tx, slug)
		return err
	})
	return t, err
}

func tenant(ctx context.Context, tx pgx.Tx, slug string) (Tenant, error) {
	rows, err := tx.Query(ctx, `select id, slug, name, state, created_at, coalesce(requests_per_second, 0) from tenants where slug = $1`, slug)
	if err != nil {
		return Tenant{}, err
	}
	t, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Tenant])
	if errors.Is(err, pgx.ErrNoRows) {
		return Tenant{}, ErrNotFound
	}
	return t, err
}

// MaxRate is the highest rate that a tenant may have.
const MaxRate = 100_000

// SetRate says how many requests a second the tenant's provisioning clients may
// send, and twice as many at once; 0: as many as the server allows any. Servers
// follow within half a minute.
func (v *Vendor) SetRate(ctx context.Context, slug string, perSecond int) (Tenant, error) {
	if perSecond < 0 || perSecond > MaxRate {
		return Tenant{}, bad("a rate is 1 to %d requests a second, or 0 for the server's own", MaxRate)
	}
	var changed Tenant
	err := v.in(ctx, slug, func(tx pgx.Tx, t Tenant) error {
		changed = t
		changed.Rate = perSecond
		_, err := tx.Exec(ctx, `update tenants set requests_per_second = nullif($2, 0) where id = $1`, t.ID, perSecond)
		if err != nil {
			return err
		}
		return v.record(ctx, tx, t.ID, t.ID, "tenant.rate_set", map[string]int{"requests_per_second": perSecond})
	})
	return changed, err
}

// in runs do in a transaction of the tenant with the given slug.
func (v *Vendor) in(ctx context.Context, slug string, do func(pgx.Tx, Tenant) error) error {
	t, err := v.Tenant(ctx, slug)
	if err != nil {
		return err
	}
	return v.kernel.Transact(ctx, t.ID, func(tx pgx.Tx) error { return do(tx, t) })
}

package registry

import (
	"context"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// A Connection is one identity provider of a tenant: where its people sign in,
// and how a person who signed in is matched to a person who was provisioned.
type Connection struct {
	ID             uuid.UUID `json:"id"`
	Name           string    `json:"name"`
	Kind           string    `json:"kind"`    // entra | okta | generic
	Profile        string    `json:"profile"` // lenient | strict
	Issuer         string    `json:"issuer,omitempty"`
	ClientID       string    `json:"client_id,omitempty"`
	Secret         string    `json:"-"`
	HasSecret      bool      `json:"has_secret"`
	MatchClaim     string    `json:"match_claim"`     // of the ID Token: immutable, never reused
	MatchAttribute string    `json:"match_attribute"` // of the user: externalId
	State          string    `json:"state"`           // active | disabled
}

// defaults are the claim and attribute by which each kind of provider names a
// person for good.
var defaults = map[string]string{"entra": "oid", "okta": "sub", "generic": "sub"}

var names = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,38}$`)

// weakClaims name a person by something that is reassigned, or that the person
// can change; weakParts are in the names of more of that kind.
var (
	weakClaims = setOf("upn", "login", "uniquename", "alias", "mailnickname", "samaccountname", "name", "displayname", "commonname",
		"cn", "givenname", "familyname", "firstname", "lastname", "surname", "nickname")
	weakParts = []string{"mail", "upn", "username", "loginname", "principalname", "accountname", "phone", "mobile"}
)

// checkClaim refuses a claim that does not name one person for good: of Entra
// and Okta the one that is known to is the only one, of others whatever is not
// known to be weak.
func (c *Connection) checkClaim() error {
	safe := defaults[c.Kind]
	switch {
	case c.MatchClaim == safe:
		return nil
	case c.Kind != "generic":
		return bad("match claim %q: of %s, only %s names a person for good; another can be given to another person later", c.MatchClaim, c.Kind, safe)
	case weakClaim(c.MatchClaim):
		return bad("match claim %q can be given to another person later; use %s, or a claim that the identity provider never reuses", c.MatchClaim, safe)
	}
	return nil
}

// weakClaim looks at the last part of a name, in whatever case and punctuation:
// "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress" and
// "cognito:username" are as weak as "email" and "user_name".
func weakClaim(name string) bool {
	parts := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return strings.ContainsRune("/#:", r) })
	if len(parts) == 0 {
		return true
	}
	last := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, parts[len(parts)-1])
	return last == "" || weakClaims[last] || slices.ContainsFunc(weakParts, func(part string) bool { return strings.Contains(last, part) })
}

func setOf(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// Check refuses a connection on which the wrong person could enter: a join by
// a claim that is reassigned, a multi-tenant issuer, an address that is not a
// public https one (loopback only where local).
func (c *Connection) Check(local bool) error {
	if c.MatchClaim == "" {
		c.MatchClaim = defaults[c.Kind]
	}
	if c.MatchAttribute == "" {
		c.MatchAttribute = "externalId"
	}
	if c.Profile == "" {
		c.Profile = "lenient"
	}
	switch {
	case !names.MatchString(c.Name):
		return bad("connection name %q: use up to 39 lower-case letters, digits and hyphens", c.Name)
	case defaults[c.Kind] == "":
		return bad("connection kind %q: use entra, okta or generic", c.Kind)
	case c.Profile != "lenient" && c.Profile != "strict":
		return bad("profile %q: use lenient or strict", c.Profile)
	case c.MatchAttribute != "externalId":
		return bad("match attribute %q: only externalId names a person for good", c.MatchAttribute)
	}
	if err := c.checkClaim(); err != nil || c.Issuer == "" {
		return err
	}
	return checkIssuer(c.Issuer, local)
}

// hostNames end in a label that begins with a letter: what ends in a number is
// an IPv4 address to one reader or another.
var hostNames = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]*[a-z0-9])?\.)*[a-z]([a-z0-9-]*[a-z0-9])?$`)

func checkIssuer(issuer string, local bool) error {
	u, err := url.Parse(issuer)
	if err != nil || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Hostname() == "" {
		return bad("issuer %q: use an https URL without user, query or fragment", issuer)
	}
	host := strings.ToLower(u.Hostname())
	onLoopback := loopback(host, net.ParseIP(host))
	switch {
	case onLoopback && !local:
		return bad("issuer %q is on loopback: only a server that runs with --local accepts that", issuer)
	case onLoopback && (u.Scheme == "http" || u.Scheme == "https"):
		return nil
	case u.Scheme != "https":
		return bad("issuer %q: use https", issuer)
	case !hostNames.MatchString(host):
		return bad("issuer %q: use a host name, not an address", issuer)
	case entraHosts[host] && multiTenant(u.Path):
		return bad("issuer %q serves every Entra tenant: use the tenant's own, https://login.microsoftonline.com/{tenant id}/v2.0", issuer)
	}
	return nil
}

func loopback(host string, ip net.IP) bool {
	host = strings.TrimSuffix(host, ".")
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// entraHosts are where Entra signs people in: worldwide and its national clouds.
var entraHosts = setOf("login.microsoftonline.com", "login.windows.net", "sts.windows.net", "login.microsoftonline.us",
	"login.partner.microsoftonline.cn", "login.chinacloudapi.cn")

// multiTenant reports whether the path names no tenant of Entra's: the last is
// that of personal accounts.
func multiTenant(path string) bool {
	first, _, _ := strings.Cut(strings.TrimLeft(strings.ToLower(path), "/"), "/")
	return slices.Contains([]string{"", "common", "organizations", "consumers", "9188040d-6c67-4c5b-b112-36a304b66dad"}, first)
}

// OnLoopback reports whether the connection's issuer is on this machine.
func (c Connection) OnLoopback() bool {
	u, err := url.Parse(c.Issuer)
	return err == nil && c.Issuer != "" && loopback(strings.ToLower(u.Hostname()), net.ParseIP(u.Hostname()))
}

// AddConnection adds an identity provider to a tenant.
func (v *Vendor) AddConnection(ctx context.Context, slug string, c Connection) (Connection, error) {
	if err := c.Check(v.kernel.Local); err != nil {
		return Connection{}, err
	}
	c.ID, c.State, c.HasSecret = newID(), "active", c.Secret != ""
	err := v.in(ctx, slug, func(tx pgx.Tx, t Tenant) error {
		sealed, err := v.sealSecret(t.ID, c)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			insert into connections (tenant_id, id, name, kind, profile, issuer, client_id, client_secret, match_claim, match_attribute)
			values ($1, $2, $3, $4, $5, nullif($6, ''), nullif($7, ''), $8, $9, $10)`,
			t.ID, c.ID, c.Name, c.Kind, c.Profile, c.Issuer, c.ClientID, sealed, c.MatchClaim, c.MatchAttribute)
		if err != nil {
			return err
		}
		return v.record(ctx, tx, t.ID, c.ID, "connection.added", c)
	})
	if taken(err) {
		return Connection{}, bad("tenant %q has a connection %q already", slug, c.Name)
	}
	return c, err
}

// SetConnection changes a connection. A change of issuer or client needs the
// secret again, so that no secret reaches another address than it was given for.
func (v *Vendor) SetConnection(ctx context.Context, slug, name string, change func(*Connection) error) (Connection, error) {
	var c Connection
	err := v.in(ctx, slug, func(tx pgx.Tx, t Tenant) error {
		found, err := connections(ctx, tx, t.ID, `and name = $2 for update`, name)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return ErrNotFound
		}
		before := found[0]
		c = before
		if err := change(&c); err != nil {
			return err
		}
		c.ID, c.Name, c.State = before.ID, before.Name, before.State
		return v.saveConnection(ctx, tx, t, before, &c)
	})
	return c, err
}

func (v *Vendor) saveConnection(ctx context.Context, tx pgx.Tx, t Tenant, before Connection, c *Connection) error {
	if err := c.Check(v.kernel.Local); err != nil {
		return err
	}
	if (c.Issuer != before.Issuer || c.ClientID != before.ClientID) && before.HasSecret && c.Secret == "" {
		return bad("the issuer or client changes: give the client secret again")
	}
	sealed, err := v.sealSecret(t.ID, *c)
	if err != nil {
		return err
	}
	c.HasSecret = c.HasSecret || sealed != nil
	_, err = tx.Exec(ctx, `
		update connections set profile = $3, issuer = nullif($4, ''), client_id = nullif($5, ''),
			client_secret = coalesce($6, client_secret), match_claim = $7, match_attribute = $8, kind = $9
		where tenant_id = $1 and id = $2`,
		t.ID, c.ID, c.Profile, c.Issuer, c.ClientID, sealed, c.MatchClaim, c.MatchAttribute, c.Kind)
	if err != nil {
		return err
	}
	if c.leadsElsewhere(before) {
		if err := shut(ctx, tx, t.ID, c.ID); err != nil {
			return err
		}
	}
	// The profile is part of what servers keep by derivation counter.
	if err := raiseDerivation(ctx, tx, t.ID); err != nil {
		return err
	}
	return v.record(ctx, tx, t.ID, c.ID, "connection.changed", c)
}

// leadsElsewhere reports whether people prove who they are in another way than
// before: what was proved until now counts no longer.
func (c *Connection) leadsElsewhere(before Connection) bool {
	return c.Issuer != before.Issuer || c.ClientID != before.ClientID || c.MatchClaim != before.MatchClaim || c.MatchAttribute != before.MatchAttribute
}

// shut waits for the mints that run through a connection and ends every
// session and journey of it.
func shut(ctx context.Context, tx pgx.Tx, tenant, connection uuid.UUID) error {
	_, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended($1, 0))`, connection.String())
	if err == nil {
		_, err = tx.Exec(ctx, `update connections set epoch = epoch + 1 where tenant_id = $1 and id = $2`, tenant, connection)
	}
	return err
}

// Connections lists a tenant's connections by name.
func (v *Vendor) Connections(ctx context.Context, slug string) ([]Connection, error) {
	var list []Connection
	err := v.in(ctx, slug, func(tx pgx.Tx, t Tenant) (err error) {
		list, err = connections(ctx, tx, t.ID, `order by name`)
		return err
	})
	return list, err
}

// TenantConnections answers a tenant and its connections.
func (v *Vendor) TenantConnections(ctx context.Context, slug string) (t Tenant, list []Connection, err error) {
	err = v.kernel.Transact(ctx, uuid.Nil, func(tx pgx.Tx) error {
		if t, err = tenant(ctx, tx, slug); err != nil {
			return err
		}
		if err := v.kernel.Name(ctx, tx, t.ID); err != nil {
			return err
		}
		list, err = connections(ctx, tx, t.ID, `order by name`)
		return err
	})
	return t, list, err
}

// Connection finds a connection by its name.
func (v *Vendor) Connection(ctx context.Context, slug, name string) (Connection, error) {
	list, err := v.Connections(ctx, slug)
	if err != nil {
		return Connection{}, err
	}
	for _, c := range list {
		if c.Name == name {
			return c, nil
		}
	}
	return Connection{}, ErrNotFound
}

func connections(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, rest string, args ...any) ([]Connection, error) {
	rows, err := tx.Query(ctx, `
		select id, name, kind, profile, coalesce(issuer, ''), coalesce(client_id, ''), '', client_secret is not null,
			match_claim, match_attribute, state
		from connections where tenant_id = $1 `+rest, append([]any{tenant}, args...)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Connection])
}

// LoopbackIssuers lists the connections, as tenant/name, whose issuer is on
// loopback: a server that does not run with --local refuses to start with one.
func (v *Vendor) LoopbackIssuers(ctx context.Context) ([]string, error) {
	tenants, err := v.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, t := range tenants {
		list, err := v.Connections(ctx, t.Slug)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			if c.OnLoopback() && c.State == "active" {
				found = append(found, t.Slug+"/"+c.Name)
			}
		}
	}
	return found, nil
}

func (v *Vendor) sealSecret(tenant uuid.UUID, c Connection) ([]byte, error) {
	if c.Secret == "" {
		return nil, nil
	}
	return v.kernel.Encrypt([]byte(c.Secret), SecretPlace(tenant, c.ID))
}

// SecretPlace is what a connection's client secret is sealed to.
func SecretPlace(tenant, connection uuid.UUID) string {
	return "connections.client_secret " + tenant.String() + " " + connection.String()
}

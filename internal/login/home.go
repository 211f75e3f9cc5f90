package login

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
)

// organisation finds the slug of the person's tenant: by the tenant parameter,
// else by the domain of login_hint, if a tenant has proved to own it. What is not
// found and what is not given both end on the page that asks.
func (l *Login) organisation(ctx context.Context, a *attempt) (string, error) {
	if slug := a.params.Get("tenant"); slug != "" {
		if !isSlug(slug) {
			return "", &ask{attempt: a, unknown: true}
		}
		return slug, nil
	}
	hint := a.params.Get("login_hint")
	if hint == "" {
		return "", &ask{attempt: a}
	}
	domain, ok := emailDomain(hint)
	if !ok {
		return "", &ask{attempt: a, unknown: true}
	}
	slug, err := l.store.TenantByDomain(ctx, domain)
	if errors.Is(err, store.ErrNotFound) {
		return "", &ask{attempt: a, unknown: true}
	}
	return slug, err
}

// connections lists where people of the tenant can sign in. A tenant that the
// application does not serve looks like none.
func (l *Login) connections(ctx context.Context, a *attempt, slug string) (registry.Tenant, []registry.Connection, error) {
	tenant, connections, err := l.store.ConnectionsFor(ctx, slug)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && !slices.Contains(a.application.Tenants, tenant.ID):
		return registry.Tenant{}, nil, &ask{attempt: a, unknown: true}
	case err != nil:
		return registry.Tenant{}, nil, err
	case tenant.State == "suspended":
		return registry.Tenant{}, nil, refuse("tenant_suspended", "found before the sign-in began")
	case len(connections) == 0:
		return registry.Tenant{}, nil, refuse("no_connection", "tenant "+tenant.Slug+" has no open connection with an issuer")
	}
	return tenant, connections, nil
}

// choose takes the tenant's only connection, or the one that the connection
// parameter names, or asks.
func choose(a *attempt, tenant registry.Tenant, connections []registry.Connection) (registry.Connection, error) {
	if len(connections) == 1 && a.params.Get("connection") == "" {
		return connections[0], nil
	}
	for _, connection := range connections {
		if connection.Name == a.params.Get("connection") {
			return connection, nil
		}
	}
	return registry.Connection{}, &ask{attempt: a, organisation: tenant, connections: connections}
}

var slugs = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$`)

func isSlug(s string) bool { return slugs.MatchString(s) }

var domains = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// emailDomain returns the domain of an address: what follows its only @, in
// lower case. Quoted local parts, spaces and domains that are not host names in
// ASCII have none, so that no two readers of the address could disagree.
func emailDomain(address string) (string, bool) {
	const most = 254 // RFC 5321 §4.5.3.1.3
	local, domain, found := strings.Cut(address, "@")
	domain = strings.ToLower(domain)
	if !found || local == "" || len(address) > most || strings.ContainsAny(local, "\"\\ (),:;<>") || !domains.MatchString(domain) {
		return "", false
	}
	return domain, true
}

package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store/registry"
)

// A credential is what never changes about a token, and whether it held the
// last time that this process looked: only those that did count against their
// tenant's limits. Whether it holds now is asked in the transaction of every use.
type credential struct {
	tenant, connection, id uuid.UUID
	holder                 uuid.UUID // whom the log names: the token itself, or the client that fetched it
	slug, name             string
	readOnly               bool
	writes                 []string // names of resource types; none: all
	held                   atomic.Bool
}

// maxCredentials bounds the tokens that a process remembers, some 300 bytes
// each. One beyond it takes another's place.
const maxCredentials = 20_000

// credentials are the tokens that were in use lately, by their hash.
type credentials struct {
	mu     sync.RWMutex
	byHash map[[sha256.Size]byte]*credential
}

func (c *credentials) load(key [sha256.Size]byte) *credential {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.byHash[key]
}

func (c *credentials) store(key [sha256.Size]byte, found *credential) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byHash == nil {
		c.byHash = map[[sha256.Size]byte]*credential{}
	}
	if len(c.byHash) >= maxCredentials {
		for other := range c.byHash {
			delete(c.byHash, other)
			break
		}
	}
	c.byHash[key] = found
}

// isToken reports whether a text has the form of a SCIM token: one that an
// admin handed over, or one that a client fetched.
func isToken(text string) bool {
	for _, prefix := range []string{registry.SCIMPrefix, registry.AccessPrefix} {
		if strings.HasPrefix(text, prefix) && len(text) == len(prefix)+registry.SecretLength {
			return true
		}
	}
	return false
}

// findCredential looks a token up by its hash, within the tenant named in the
// address and nowhere else.
func (s *Store) findCredential(ctx context.Context, slug string, key [sha256.Size]byte) (*credential, error) {
	tenant, err := s.tenantID(ctx, slug)
	if errors.Is(err, ErrNotFound) {
		return nil, ErrUnauthenticated
	}
	if err != nil {
		return nil, err
	}
	ctx = inShare(ctx, tenant, false)
	c := &credential{tenant: tenant, slug: slug}
	b := &pgx.Batch{}
	nameTenant(b, tenant.String(), everyConnection)
	b.Queue(`
		select k.id, k.id, k.connection_id, c.name || '/' || k.name, k.read_only, coalesce(k.writes, '{}')
		from credentials k
		join connections c on c.tenant_id = k.tenant_id and c.id = k.connection_id
		where k.tenant_id = $1 and k.hash = $2 and k.kind = 'scim'
		union all
		select k.id, l.id, k.connection_id, c.name || '/' || l.name, l.read_only, '{}'
		from client_tokens k
		join clients l on l.tenant_id = k.tenant_id and l.id = k.client
		join connections c on c.tenant_id = k.tenant_id and c.id = k.connection_id
		where k.tenant_id = $1 and k.hash = $2`, tenant, key[:]).
		QueryRow(func(row pgx.Row) error {
			return row.Scan(&c.id, &c.holder, &c.connection, &c.name, &c.readOnly, &c.writes)
		})
	err = s.read(ctx, b)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrUnauthenticated
	}
	return c, err
}

// fetched reports whether a client fetched the token, by OAuth.
func (c *credential) fetched() bool { return c.holder != c.id }

// holder is whom the log names for the credential: the token, or the client that
// fetched it, whose tokens come and go.
func (dir *Directory) holder() uuid.UUID {
	if dir.token == nil {
		return uuid.Nil
	}
	return dir.token.holder
}

// ReadOnly reports whether the credential may change nothing.
func (dir *Directory) ReadOnly() bool { return dir.token != nil && dir.token.readOnly }

// MayWrite reports whether the credential may change resources of a type.
func (dir *Directory) MayWrite(rt *scim.ResourceType) bool {
	return dir.token == nil || !dir.token.readOnly && (len(dir.token.writes) == 0 || slices.Contains(dir.token.writes, rt.Name))
}

// Held reports whether the credential held when this process last looked. One
// that was never looked at, was revoked or has expired has no claim on what its
// tenant may do.
func (dir *Directory) Held() bool { return dir.token != nil && dir.token.held.Load() }

// Refused remembers that the credential did not hold.
func (dir *Directory) Refused() {
	if dir.token != nil {
		dir.token.held.Store(false)
	}
}

// noteUse notes that the credential was used and held.
func (dir *Directory) noteUse() {
	dir.token.held.Store(true)
	dir.store.used.note(dir.token)
}

package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/store/registry"
)

// maxStrays bounds the tokens that are remembered between two sweeps: each may be
// looked for at every tenant.
const maxStrays = 100

// strays are requests whose token opens nothing at the address they came to,
// the last one of each token. Whose token it is, if anybody's, is looked up
// later: the answer must not depend on it. Then that tenant's admin can be told
// that the address is wrong.
type strays struct {
	mu      sync.Mutex
	byToken map[[sha256.Size]byte]stray
}

type stray struct {
	request Request
	status  int16
}

func (l *strays) note(token [sha256.Size]byte, r Request, status int16) {
	if r.ID == uuid.Nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byToken == nil {
		l.byToken = map[[sha256.Size]byte]stray{}
	}
	if _, known := l.byToken[token]; known || len(l.byToken) < maxStrays {
		l.byToken[token] = stray{r, status}
	}
}

func (l *strays) take() map[[sha256.Size]byte]stray {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.byToken
	l.byToken = nil
	return taken
}

// Misplaced remembers a request to an address at which no tenant's endpoints
// are, so that the tenant whose token it carries can be told.
func (s *Store) Misplaced(token string, r Request) {
	if isToken(token) {
		s.strays.note(sha256.Sum256([]byte(token)), r, 404)
	}
}

// strayTenants is how many tenants are looked through in one round trip.
const strayTenants = 200

// findStrays looks for the tenants of the tokens that came to a wrong address, and puts
// the requests into the log of whom they are. Of a token that this process knows it asks
// nobody. For others it looks through the tenants, so many in a round trip, until all
// have been found: at most two statements a tenant, and none where nothing came.
func (s *Store) findStrays(ctx context.Context) error {
	found := s.strays.take()
	for token, came := range found {
		if c := s.credentials.load(token); c != nil {
			s.keepRequest(requestRow{tenant: c.tenant, connection: c.connection, credential: c.holder}.strayed(came))
			delete(found, token)
		}
	}
	if len(found) == 0 {
		return nil
	}
	tenants, err := s.Vendor("").Tenants(ctx)
	for chunk := range slices.Chunk(tenants, strayTenants) {
		if len(found) == 0 || ctx.Err() != nil {
			break
		}
		err = errors.Join(err, s.claimStrays(ctx, chunk, found))
	}
	return err
}

// claimStrays takes from found what came with tokens of these tenants. Each of its
// statements sees one tenant's rows.
func (s *Store) claimStrays(ctx context.Context, tenants []registry.Tenant, found map[[sha256.Size]byte]stray) error {
	hashes := make([][]byte, 0, len(found))
	for token := range found {
		hashes = append(hashes, token[:])
	}
	b := &pgx.Batch{}
	for _, t := range tenants {
		nameTenant(b, t.ID.String(), everyConnection)
		b.Queue(`
			select id, connection_id, hash from credentials
			where tenant_id = $1 and hash = any($2) and connection_id is not null
			union all
			select client, connection_id, hash from client_tokens
			where tenant_id = $1 and hash = any($2)`, t.ID, hashes).
			Query(func(rows pgx.Rows) error {
				row := requestRow{tenant: t.ID}
				var hash []byte
				_, err := pgx.ForEachRow(rows, []any{&row.credential, &row.connection, &hash}, func() error {
					token := [sha256.Size]byte(hash)
					if came, still := found[token]; still {
						s.keepRequest(row.strayed(came))
						delete(found, token)
					}
					return nil
				})
				return err
			})
	}
	return s.read(ctx, b)
}

// strayed is the row of a stray, by the credential that it carried.
func (r requestRow) strayed(from stray) requestRow {
	r = r.came(from.request)
	r.status = from.status
	return r
}

// came is the row of a request of which nothing is known but how it came.
func (r requestRow) came(from Request) requestRow {
	r.id, r.at = from.ID, from.Began
	if r.at.IsZero() {
		r.at = time.Now()
	}
	r.method, r.path = keep(from.Method, longestPath), keep(from.Path, longestPath)
	r.query, r.agent = keep(from.Query, longestQuery), keep(from.Agent, longestAgent)
	return r
}

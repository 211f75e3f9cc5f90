package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// maxStrays bounds the tokens that are remembered between two sweeps.
const maxStrays = 1000

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

// findStrays looks for the tenants of the tokens that came to a wrong address,
// one tenant at a time, and puts the requests into the log of whom they are.
func (s *Store) findStrays(ctx context.Context) error {
	found := s.strays.take()
	if len(found) == 0 {
		return nil
	}
	hashes := make([][]byte, 0, len(found))
	for token := range found {
		hashes = append(hashes, token[:])
	}
	tenants, err := s.Vendor("").Tenants(ctx)
	if err != nil {
		return err
	}
	for _, t := range tenants {
		err = errors.Join(err, s.claimStrays(ctx, t.ID, hashes, found))
	}
	return err
}

func (s *Store) claimStrays(ctx context.Context, tenant uuid.UUID, hashes [][]byte, found map[[sha256.Size]byte]stray) error {
	b := &pgx.Batch{}
	nameTenant(b, tenant.String(), everyConnection)
	b.Queue(`
		select id, connection_id, hash from credentials
		where tenant_id = $1 and hash = any($2) and connection_id is not null
		union all
		select client, connection_id, hash from client_tokens
		where tenant_id = $1 and hash = any($2)`, tenant, hashes).
		Query(func(rows pgx.Rows) error {
			row := requestRow{tenant: tenant}
			var hash []byte
			_, err := pgx.ForEachRow(rows, []any{&row.credential, &row.connection, &hash}, func() error {
				s.keepRequest(row.strayed(found[[sha256.Size]byte(hash)]))
				return nil
			})
			return err
		})
	return s.read(ctx, b)
}

// strayed is the row of a stray, by the credential that it carried.
func (r requestRow) strayed(from stray) requestRow {
	r.id, r.at, r.status = from.request.ID, from.request.Began, from.status
	if r.at.IsZero() {
		r.at = time.Now()
	}
	r.method, r.path = keep(from.request.Method, longestPath), keep(from.request.Path, longestPath)
	r.query, r.agent = keep(from.request.Query, longestQuery), keep(from.request.Agent, longestAgent)
	return r
}

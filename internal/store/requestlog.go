package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Bounds of the rows that wait to be written: reads, refusals, and writes that
// changed nothing. What does not fit is dropped and counted; a tenant's storm
// drops its own.
const (
	waitingRows       = 8192
	waitingTenantRows = 2048
	waitingBytes      = 32 << 20
	flushRows         = 1024 // in one statement; so many do not wait for the second
	flushPause        = 200 * time.Millisecond
	waitingRefusals   = 64 // of one tenant, of what is refused unlooked at: a storm of them costs the database nothing
	waitingForToken   = 8  // of one tenant, of refused token requests: anybody who knows a client's id, no secret, can send them
)

// A requestLog collects rows of provisioning_requests that no transaction writes.
type requestLog struct {
	mu      sync.Mutex
	waiting map[uuid.UUID][]requestRow // by tenant
	refused map[refusals]int           // how many of those are there
	rows    int
	bytes   int
	full    chan struct{} // has one element where a flush shall not wait

	flushing sync.Mutex
}

// refusals are rows of a tenant that have few places, and of each kind its own: no
// stranger's guesses at a client hide what a token of the tenant's was refused.
type refusals struct {
	tenant   uuid.UUID
	forToken bool
}

// places is how many rows like r there may be among the refusals; 0: r is none.
func (r requestRow) places() int {
	switch {
	case r.forToken:
		return waitingForToken
	case r.status == 401 || r.status == 429:
		return waitingRefusals
	}
	return 0
}

func newRequestLog() *requestLog {
	l := &requestLog{full: make(chan struct{}, 1)}
	l.take()
	return l
}

// add keeps a row until the next flush and reports whether there was a place.
func (l *requestLog) add(row requestRow) bool {
	size := row.size()
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := l.waiting[row.tenant]
	alike, places := refusals{row.tenant, row.forToken}, row.places()
	switch {
	case l.rows >= waitingRows, len(mine) >= waitingTenantRows, l.bytes+size > waitingBytes, places > 0 && l.refused[alike] >= places:
		return false
	case places > 0:
		l.refused[alike]++
	}
	l.waiting[row.tenant] = append(mine, row)
	l.rows++
	l.bytes += size
	if len(mine)+1 >= flushRows {
		select {
		case l.full <- struct{}{}:
		default:
		}
	}
	return true
}

// size is roughly what the row takes, in bytes.
func (r requestRow) size() int {
	const fixed = 256
	return fixed + len(r.method) + len(r.path) + len(r.query) + len(r.agent) + len(r.body) + len(r.detail) + 64*len(r.notes)
}

// take empties the log.
func (l *requestLog) take() map[uuid.UUID][]requestRow {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.waiting
	l.waiting, l.refused, l.rows, l.bytes = map[uuid.UUID][]requestRow{}, map[refusals]int{}, 0, 0
	return taken
}

// Answered keeps how the request was answered, unless its row stands in the
// transaction of its effect. scimType and detail are of a refusal.
func (dir *Directory) Answered(status int, scimType, detail string) {
	if dir.request.ID == uuid.Nil || dir.connection == uuid.Nil || dir.record.written && status < 300 {
		return
	}
	if status == 401 {
		dir.record.body = nil // of somebody who may be anybody
	}
	row := dir.requestRow(int16(status))
	row.scimType, row.detail = scimType, keep(detail, longestDetail)
	row.subject = subjectIn(row.path)
	dir.store.keepRequest(row)
}

func (s *Store) keepRequest(row requestRow) {
	if !s.requests.add(row) {
		s.metrics.dropped(1)
	}
}

// subjectIn is the id that a path ends with, or none.
func subjectIn(path string) uuid.UUID {
	id, err := parseID(path[strings.LastIndexByte(path, '/')+1:])
	if err != nil {
		return uuid.Nil
	}
	return id
}

// logRequests writes what waits at least every second, and not more often than
// every flushPause, until ctx ends.
func (s *Store) logRequests(ctx context.Context) {
	second, pause := time.NewTicker(time.Second), time.NewTimer(0)
	defer second.Stop()
	defer pause.Stop()
	for {
		select {
		case <-second.C:
		case <-s.requests.full:
			<-pause.C
			pause.Reset(flushPause)
		case <-ctx.Done():
			return
		}
		if err := s.flushRequests(ctx); err != nil {
			s.complain(ctx, "write the provisioning log", err)
		}
	}
}

// FlushRequests writes what the provisioning log still has in memory.
func (s *Store) FlushRequests(ctx context.Context) error {
	return errors.Join(s.findStrays(ctx), s.flushRequests(ctx))
}

// flushRequests writes the waiting rows, a tenant and at most flushRows at a
// time. Rows that the database does not take are dropped and counted.
func (s *Store) flushRequests(ctx context.Context) (err error) {
	s.requests.flushing.Lock()
	defer s.requests.flushing.Unlock()
	for tenant, rows := range s.requests.take() {
		for chunk := range slices.Chunk(rows, flushRows) {
			failed := s.write(ctx, func() *pgx.Batch {
				b := &pgx.Batch{}
				nameTenant(b, tenant.String(), everyConnection)
				queueRequests(b, tenant, chunk)
				return b
			})
			if failed != nil {
				s.metrics.dropped(len(chunk))
				err = failed
			}
		}
	}
	return err
}

// queueRequests writes rows in one statement. A row that is there already is
// that of a commit whose outcome the client was not told.
func queueRequests(b *pgx.Batch, tenant uuid.UUID, rows []requestRow) {
	var c requestColumns
	for _, row := range rows {
		c.add(row)
	}
	b.Queue(`
		insert into provisioning_requests (tenant_id, id, connection_id, credential_id, subject, at, micros, method, path, query, agent, body,
			status, found, scim_type, detail, notes)
		select $1, id, connection_id, credential_id, subject, at, micros, method, path, nullif(query, ''), nullif(agent, ''), nullif(body, ''),
			status, found, nullif(scim_type, ''), nullif(detail, ''), notes
		from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[], $7::bigint[], $8::text[], $9::text[], $10::text[], $11::text[],
			$12::text[], $13::smallint[], $14::int[], $15::text[], $16::text[], $17::text[])
			as r(id, connection_id, credential_id, subject, at, micros, method, path, query, agent, body, status, found, scim_type, detail, notes)
		on conflict do nothing`,
		tenant, c.ids, c.connections, c.credentials, c.subjects, c.at, c.micros, c.methods, c.paths, c.queries, c.agents, c.bodies,
		c.statuses, c.found, c.scimTypes, c.details, c.notes)
}

// requestColumns are rows turned into the arrays of one statement.
type requestColumns struct {
	ids, connections                        []uuid.UUID
	credentials, subjects                   []uuid.NullUUID
	at                                      []time.Time
	micros                                  []*int64
	methods, paths, queries, agents, bodies []string
	statuses                                []int16
	found                                   []*int32
	scimTypes, details                      []string
	notes                                   []*string
}

func (c *requestColumns) add(row requestRow) {
	c.ids = append(c.ids, row.id)
	c.connections = append(c.connections, row.connection)
	c.credentials = append(c.credentials, optional(row.credential))
	c.subjects = append(c.subjects, optional(row.subject))
	c.at = append(c.at, row.at)
	c.micros = append(c.micros, row.micros())
	c.methods = append(c.methods, row.method)
	c.paths = append(c.paths, row.path)
	c.queries = append(c.queries, row.query)
	c.agents = append(c.agents, row.agent)
	c.bodies = append(c.bodies, row.body)
	c.statuses = append(c.statuses, row.status)
	c.found = append(c.found, row.found)
	c.scimTypes = append(c.scimTypes, row.scimType)
	c.details = append(c.details, row.detail)
	c.notes = append(c.notes, row.noteText())
}

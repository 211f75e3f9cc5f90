package store

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store/log"
)

// A Record is what the provisioning log will hold of a Directory's request
// besides how it came. A door fills it while it serves the request; the store
// writes it with the request's effect, or [Directory.Answered] keeps it.
type Record struct {
	query   func() string // nil: as the request says
	body    func() string
	found   *int32
	notes   []scim.Note
	status  int16
	written bool // the row stands in the transaction of the effect
}

// Body says how to tell what came. It is asked at most once, and has left
// secrets out and bounded the text.
func (r *Record) Body(tell func() string) { r.body = tell }

// Query says how to tell what is kept of the query, by what is known of the tenant,
// instead of what the request says. It is asked when the row is written, as Body is:
// what the tenant calls secret may be known no earlier.
func (r *Record) Query(tell func() string) { r.query = tell }

// Found says how many resources the answer's list holds in all.
func (r *Record) Found(n int) { found := int32(min(n, 1<<30)); r.found = &found }

// Status says how a write will be answered, where the store cannot know.
func (r *Record) Status(code int) { r.status = int16(code) }

// Record is what the log will hold of the Directory's request.
func (dir *Directory) Record() *Record { return &dir.record }

// Part is the Directory for one operation of a request that has several: it has
// a record and an id of its own, by which its commit is known.
func (dir *Directory) Part(r Request) *Directory {
	part := *dir
	part.request, part.record = r, Record{}
	return &part
}

var requestPart = log.NewPart(`
	insert into provisioning_requests (tenant_id, id, connection_id, subject, credential_id, method, path, status, notes, query, agent, body, micros)
	values (@tenant, @request, @connection, @subject, @credential, @method, @path, @status, @notes, @query, @agent, @body, @micros)`)

// queueWrite queues a write and, where it is the effect of a SCIM request, the request
// with it: afterwards its id proves that the effect was committed. at is the time of the
// transaction; nil: nobody asks.
func (dir *Directory) queueWrite(b *pgx.Batch, w *log.Write, status int16, notes []scim.Note, at *time.Time) {
	logged := dir.request.ID != uuid.Nil && w.Change.Connection.Valid
	if logged {
		if dir.record.status != 0 {
			status = dir.record.status
		}
		row := dir.requestRow(status)
		row.notes = notes
		w.Add(requestPart, optional(row.credential), row.method, row.path, row.status, row.noteText(), given(row.query), given(row.agent), given(row.body), row.micros())
	}
	w.AppendTo(b).QueryRow(func(row pgx.Row) error {
		var now time.Time
		err := row.Scan(&now)
		dir.record.written = logged && err == nil
		if at != nil {
			*at = now
		}
		return err
	})
}

// A requestRow is one row of provisioning_requests.
type requestRow struct {
	tenant, id, connection, credential, subject uuid.UUID // credential, subject: uuid.Nil for none
	at                                          time.Time
	took                                        time.Duration // 0: not measured
	method, path, query, agent, body            string
	status                                      int16
	scimType, detail                            string
	found                                       *int32
	notes                                       []scim.Note
	forToken                                    bool // a client asked for an access token, and got none
}

// Bounds of what is kept of a request, in bytes. A body is bounded where its
// secrets are taken out.
const (
	longestPath   = 512
	longestQuery  = 2048
	longestAgent  = 256
	longestDetail = 1024
)

// requestRow is how the Directory's request came.
func (dir *Directory) requestRow(status int16) requestRow {
	r := dir.request
	row := requestRow{
		tenant: dir.tenant, id: r.ID, connection: dir.connection, credential: dir.holder(), at: r.Began,
		method: keep(r.Method, longestPath), path: keep(r.Path, longestPath), query: keep(r.Query, longestQuery), agent: keep(r.Agent, longestAgent),
		status: status, found: dir.record.found, notes: dir.record.notes,
	}
	if dir.record.query != nil {
		row.query = keep(dir.record.query(), longestQuery)
	}
	if row.at.IsZero() {
		row.at = time.Now()
	} else {
		row.took = time.Since(r.Began)
	}
	if dir.record.body != nil {
		row.body = text(dir.record.body())
	}
	return row
}

func (r requestRow) noteText() *string {
	if len(r.notes) == 0 {
		return nil
	}
	s := text(string(marshal(scim.BoundNotes(r.notes))))
	return &s
}

func (r requestRow) micros() *int64 {
	if r.took <= 0 {
		return nil
	}
	n := r.took.Microseconds()
	return &n
}

// keep is what is kept of a text that a client chose.
func keep(s string, most int) string {
	if len(s) > most {
		for most > 0 && !utf8.RuneStart(s[most]) {
			most--
		}
		s = s[:most] + "…"
	}
	return text(s)
}

// text is s as PostgreSQL takes it: UTF-8 without NUL.
func text(s string) string {
	const instead = "\uFFFD"
	return strings.ReplaceAll(strings.ToValidUTF8(s, instead), "\x00", instead)
}

// given is s, or null where it is empty.
func given(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func optional(id uuid.UUID) uuid.NullUUID { return uuid.NullUUID{UUID: id, Valid: id != uuid.Nil} }

// Noted records what lenience repaired in a request that writes nothing.
func (dir *Directory) Noted(notes []scim.Note) { dir.count(notes) }

// count reports what lenience ignored or repaired.
func (dir *Directory) count(notes []scim.Note) {
	dir.record.notes = notes
	for _, n := range notes {
		dir.store.metrics.ignored(n.Quirk)
	}
}

// unchanged is count for a write that found everything as it shall be: nothing
// was committed, so the request is kept like a read.
func (dir *Directory) unchanged(notes []scim.Note) {
	dir.record.written = false
	dir.count(notes)
}

// resolveTimeout bounds the search for the outcome of an unclear commit.
const resolveTimeout = 2 * time.Second

// resolve finds out what became of a commit whose outcome is not known: nil
// says that it is durable. It looks for the request's row on another
// connection, in a transaction that itself has to reach whatever the commit
// had to reach: write-ahead log is replicated in order, so once the later
// transaction is safe, the earlier one is.
func (dir *Directory) resolve(ctx context.Context, err error) error {
	if !errors.Is(err, ErrUnknownOutcome) {
		return err
	}
	found := false
	if dir.request.ID != uuid.Nil {
		found = dir.committed(ctx) == nil
	}
	dir.store.metrics.unknown(found)
	dir.store.log.WarnContext(ctx, "commit with unknown outcome", "request", dir.request.ID, "found", found, "error", err)
	if found {
		return nil
	}
	return err
}

func (dir *Directory) committed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resolveTimeout)
	defer cancel()
	return dir.store.once(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		exists := false
		tx := &transaction{ctx: ctx, conn: conn}
		err := tx.open(func(b *pgx.Batch) {
			nameTenant(b, dir.tenant.String(), everyConnection)
			b.Queue(`select exists (select from provisioning_requests where tenant_id = $1 and id = $2)`, dir.tenant, dir.request.ID).
				QueryRow(func(row pgx.Row) error { return row.Scan(&exists) })
		})
		if err == nil && !exists {
			err = ErrNotFound
		}
		if err != nil {
			conn.Exec(ctx, "rollback")
			return err
		}
		return tx.commit(func(b *pgx.Batch) { b.Queue(`select pg_logical_emit_message(true, 'muster', '')`) })
	})
}

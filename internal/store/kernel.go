package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The SQLSTATEs that statements and the schema's functions refuse with.
const (
	stateUnauthenticated = "MU401" // entry: the credential does not hold
	stateOtherRules      = "MU409" // entry: the caller's rules are not the current ones
	stateTwin            = "MU201" // entry: a create is a reactivation
	stateTaken           = "MU410" // claim: another resource has the value of the attribute that the message names
	stateWaited          = "55P03" // PostgreSQL: for a lock, as long as lock_timeout
)

const (
	tries        = 3               // of a transaction that the database asks us to repeat
	writeTimeout = 5 * time.Second // of a transaction with its repetitions, and before it of the wait to share one; statement_timeout does not bound COMMIT
)

// warnings is where a connection keeps the notices of its current commit.
const warnings = "muster.warnings"

// noteWarning remembers on the connection that PostgreSQL warned: at COMMIT it
// means that the transaction may be lost at a failover (design §2.9).
func noteWarning(conn *pgconn.PgConn, notice *pgconn.Notice) {
	if notice.Severity == "WARNING" || notice.SeverityUnlocalized == "WARNING" {
		conn.CustomData()[warnings] = notice.Code + " " + notice.Message
	}
}

// read sends one batch that changes nothing, in one round trip. Its statements
// share one transaction; the first must name the tenant.
func (s *Store) read(ctx context.Context, b *pgx.Batch) error {
	err := s.trip(ctx, b)
	if planChanged(err) {
		err = s.trip(ctx, b)
	}
	return readError(ctx, err)
}

// trip sends one batch on a connection of the pool, which it gives back even
// where reading an answer panics: amid a batch, the pool destroys it.
func (s *Store) trip(ctx context.Context, b *pgx.Batch) error {
	conn, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return conn.SendBatch(ctx, b).Close()
}

// write sends one batch as one transaction in one round trip. Only nil says
// that everything in it is durable.
func (s *Store) write(ctx context.Context, build func() *pgx.Batch) error {
	return s.repeat(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		return sendCommit(ctx, conn, build())
	})
}

// A transaction holds one connection between the two trips of a change: what
// the first has read and locked, the second writes and commits.
type transaction struct {
	ctx  context.Context
	conn *pgxpool.Conn
}

// transact runs do in a transaction and repeats it where the database asks for
// that. do begins by calling open and ends by calling commit, or returns
// without it to change nothing.
func (s *Store) transact(ctx context.Context, do func(tx *transaction) error) error {
	return s.repeat(ctx, inTransaction(do))
}

func inTransaction(do func(tx *transaction) error) func(context.Context, *pgxpool.Conn) error {
	return func(ctx context.Context, conn *pgxpool.Conn) error {
		tx := &transaction{ctx: ctx, conn: conn}
		err := do(tx)
		if conn.Conn().PgConn().TxStatus() != 'I' && !conn.Conn().IsClosed() {
			// Not committed: refused, or nothing to change. A connection that
			// cannot roll back is destroyed by the pool.
			rollback, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			conn.Exec(rollback, "rollback")
		}
		return err
	}
}

// open sends the first trip: begin, then what build queues.
func (tx *transaction) open(queue func(*pgx.Batch)) error {
	b := &pgx.Batch{}
	b.Queue("begin")
	queue(b)
	return tx.send(b)
}

// rollback gives up what was done and lets go of the locks, to open again.
func (tx *transaction) rollback() error {
	_, err := tx.conn.Exec(tx.ctx, "rollback")
	return err
}

// send makes one more trip inside the transaction.
func (tx *transaction) send(b *pgx.Batch) error {
	return lost(tx.ctx, tx.conn, tx.conn.SendBatch(tx.ctx, b).Close())
}

// lost makes err, met before a commit was sent, ErrUnavailable where the
// connection is gone: nothing was changed.
func lost(ctx context.Context, conn *pgxpool.Conn, err error) error {
	if err != nil && conn.Conn().IsClosed() && ctx.Err() != context.Canceled {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// commit sends the last trip: what queue adds, then commit.
func (tx *transaction) commit(queue func(*pgx.Batch)) error {
	b := &pgx.Batch{}
	queue(b)
	rolledBack := false
	b.Queue("commit").Exec(func(tag pgconn.CommandTag) error {
		rolledBack = tag.String() == "ROLLBACK"
		return nil
	})
	err := sendCommit(tx.ctx, tx.conn, b)
	if err == nil && rolledBack {
		return pgx.ErrTxCommitRollback
	}
	return err
}

// repeat gives do a connection, up to three times where the database asks for
// a repetition: a deadlock, a serialisation failure, a changed plan.
func (s *Store) repeat(ctx context.Context, do func(context.Context, *pgxpool.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	var err error
	for try := range tries {
		err = s.once(ctx, do)
		if !again(err) {
			break
		}
		s.metrics.retried()
		s.log.DebugContext(ctx, "transaction repeated", "try", try+1, "error", err)
	}
	return writeError(err)
}

// together does once, for so many requests of one credential, what they ask for, and
// reports whether what came of it is that of all. Where several fail before a commit is
// sent, nothing was changed and nobody knows whose fault it is: each is to be tried alone.
// So it is where one panics, and where one would have to wait or to be repeated. Whose
// context it is does not end what it does for others.
func (s *Store) together(ctx context.Context, requests int, do func(context.Context, *pgxpool.Conn) error) (shared bool, err error) {
	if requests > 1 {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			s.log.ErrorContext(ctx, "a transaction panics, and is repeated for each request", "requests", requests, "panic", v, "stack", string(debug.Stack()))
			shared = false
		}
	}()
	err = s.once(ctx, do)
	switch {
	case err == nil || errors.Is(err, ErrUnknownOutcome):
		return true, err
	case requests > 1 || again(err) || state(err) == stateWaited:
		s.metrics.retried()
		return false, err
	}
	return true, writeError(err)
}

func (s *Store) once(ctx context.Context, do func(context.Context, *pgxpool.Conn) error) error {
	conn, err := s.acquire(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer conn.Release()
	delete(conn.Conn.Conn().PgConn().CustomData(), warnings)
	return do(ctx, conn.Conn)
}

// sendCommit sends a batch that commits, unless there is no time left for it: then nothing
// is sent, and nothing changed.
func sendCommit(ctx context.Context, conn *pgxpool.Conn, b *pgx.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return commitOutcome(conn, conn.SendBatch(ctx, b).Close())
}

// commitOutcome says what a commit's result means (security: commit outcome
// rules). An error that the server reported while it still could roll back is
// returned as it is; everything else after the commit was sent is unknown.
func commitOutcome(conn *pgxpool.Conn, err error) error {
	warning, warned := conn.Conn().PgConn().CustomData()[warnings]
	switch {
	case err == nil && !warned:
		return nil
	case err == nil:
		return fmt.Errorf("%w: committed with a warning: %v", ErrUnknownOutcome, warning)
	case rolledBack(err):
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
}

// rolledBack reports whether err proves that the transaction was rolled back:
// an ERROR that the server itself reported (a FATAL one may follow the commit),
// or a COMMIT that it answered with ROLLBACK.
func rolledBack(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.SeverityUnlocalized == "ERROR" || pg.Severity == "ERROR"
	}
	return errors.Is(err, pgx.ErrTxCommitRollback)
}

func state(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// planChanged reports whether err is the first use of a cached plan after a
// migration; the second use works.
func planChanged(err error) bool { return state(err) == "0A000" }

func again(err error) bool {
	if errors.Is(err, ErrUnknownOutcome) {
		return false
	}
	switch state(err) {
	case "40001", "40P01", "0A000":
		return true
	}
	return errors.Is(err, errRepeat)
}

// errRepeat: what was read before a lock was granted no longer holds.
var errRepeat = errors.New("the transaction must be repeated")

// readError gives the database's answers to a read their meaning.
func readError(ctx context.Context, err error) error {
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &pg):
		if errors.Is(err, pgx.ErrNoRows) || ctx.Err() == context.Canceled {
			return err
		}
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case pg.Code == stateUnauthenticated:
		return ErrUnauthenticated
	case unavailable(pg.Code):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// writeError gives the database's answers to a write their meaning.
func writeError(err error) error {
	var pg *pgconn.PgError
	if errors.Is(err, errRepeat) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err == nil || errors.Is(err, ErrUnknownOutcome) || !errors.As(err, &pg) {
		return connectionError(err)
	}
	switch {
	case pg.Code == stateUnauthenticated:
		return ErrUnauthenticated
	case pg.Code == stateTaken:
		return &TakenError{Attribute: pg.Message}
	case pg.Code == "23505" && guards[pg.ConstraintName] != "":
		return &TakenError{Attribute: guards[pg.ConstraintName]}
	case unavailable(pg.Code):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// connectionError: a transaction whose commit was never sent died with its
// connection: nothing was changed.
func connectionError(err error) error {
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) || pgconn.Timeout(err) || errors.Is(err, context.DeadlineExceeded) {
		if !errors.Is(err, ErrUnknownOutcome) && !errors.Is(err, ErrUnavailable) {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	return err
}

// takes reports whether err says that a value of the attribute is taken.
func takes(err error, attribute string) bool {
	var taken *TakenError
	return errors.As(err, &taken) && taken.Attribute == attribute
}

// guards names the attribute that each unique index guards.
var guards = map[string]string{
	"users_user_name":     "userName",
	"groups_display_name": "displayName",
}

// unavailable: the database refuses for now. 53: resources; 57P0x: shutting
// down; 55P03: lock timeout; 57014: statement timeout; 08: connection.
func unavailable(code string) bool {
	switch code {
	case "55P03", "57014", "57P01", "57P02", "57P03", "25P03", "40001", "40P01":
		return true
	}
	return len(code) == 5 && (code[:2] == "53" || code[:2] == "08" || code[:2] == "58")
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

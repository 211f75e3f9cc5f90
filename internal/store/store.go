package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Config says which database a Store uses, and how.
type Config struct {
	DatabaseURL string // of the server's plain role: never an owner or superuser
	Key         []byte // the key-encryption key, 32 bytes
	PoolSize    int    // connections; 0: six per core, 32 at most
	Log         *slog.Logger
	Local       bool // connections may name an issuer on loopback
	Metrics     Metrics
	Tracer      pgx.QueryTracer // nil: none

	KeepRequests time.Duration // how long the provisioning log keeps a request; 0: 30 days
	RequestBytes int64         // how much of it is kept of one tenant, roughly; 0: 1 GiB
	// CursorTimeout is how long the cursor of a list can be used; 0: an hour.
	CursorTimeout time.Duration

	// MinServerVersion is the oldest server_version_num that [Open] accepts; 0:
	// the oldest of each major version whose row-level security has no published
	// hole. A vendor's build may carry the fixes under an older number.
	MinServerVersion int
}

// Metrics are called as things happen; a nil func is not called.
type Metrics struct {
	Ignored       func(quirk string)  // an operation that lenience ignored
	Refused       func(reason Reason) // a decision that said no
	Retried       func()              // a transaction that was repeated
	UnknownCommit func(resolved bool) // a commit whose outcome was not known at first
	Lag           func(time.Duration) // age of the oldest change when it got its number
	RuleFailed    func()              // a rule that could not tell for somebody, and granted nothing
	Dropped       func(rows int)      // rows of the provisioning log that there was no place for
}

func (m Metrics) retried() {
	if m.Retried != nil {
		m.Retried()
	}
}

func (m Metrics) refused(r Reason) {
	if m.Refused != nil {
		m.Refused(r)
	}
}

func (m Metrics) ignored(quirk string) {
	if m.Ignored != nil {
		m.Ignored(quirk)
	}
}

func (m Metrics) ruleFailed() {
	if m.RuleFailed != nil {
		m.RuleFailed()
	}
}

func (m Metrics) dropped(rows int) {
	if m.Dropped != nil {
		m.Dropped(rows)
	}
}

func (m Metrics) unknown(resolved bool) {
	if m.UnknownCommit != nil {
		m.UnknownCommit(resolved)
	}
}

// A Store is one deployment's database. It is safe for concurrent use.
type Store struct {
	pool    *pgxpool.Pool
	seal    *seal
	log     *slog.Logger
	metrics Metrics
	local   bool

	// Caches hold only what never changes: slug → id, token hash → ids, rules
	// by derivation counter. Whether any of it still holds is asked in the
	// transaction that decides.
	slugs       sync.Map // string → uuid.UUID
	credentials credentials
	settings    settingsCache

	visits visits
	unread guesses // groups that no rule read when one of their members last came or went

	cursorTimeout time.Duration

	incarnation uuid.UUID
	edits       combiner[line, *userEdit]
	additions   combiner[line, *newUser]
	lines       turns // of one tenant's changes: who waits to share a transaction, or does

	lists     turns // of one tenant's lists
	shares    turns // of one tenant's requests
	strangers turns // of requests to one tenant's address that have proved nothing
	rates     atomic.Pointer[map[uuid.UUID]int]
	wake      chan uuid.UUID // tenants with a change that has no number yet
	used      usage
	strays    strays
	faults    faultLog

	requests     *requestLog
	keepRequests time.Duration
	requestBytes int64
}

// Open connects to a migrated database as the server's role. It refuses a role
// that row-level security does not bind, a PostgreSQL with known holes in it,
// migrations that are not current, and another key than the database was set
// up with.
func Open(ctx context.Context, c Config) (*Store, error) {
	if c.Log == nil {
		c.Log = discard()
	}
	seal, err := newSeal(c.Key)
	if err != nil {
		return nil, err
	}
	pool, err := openPool(ctx, c)
	if err != nil {
		return nil, err
	}
	s := &Store{pool: pool, seal: seal, log: c.Log, metrics: c.Metrics, local: c.Local, wake: make(chan uuid.UUID, 1024), requests: newRequestLog(),
		keepRequests: cmp.Or(c.KeepRequests, defaultKeep), requestBytes: cmp.Or(c.RequestBytes, defaultBytes), cursorTimeout: cmp.Or(c.CursorTimeout, cursorTimeout)}
	s.lists.most = max(1, int(pool.Config().MaxConns)/2)
	s.divide(int(pool.Config().MaxConns))
	s.edits.together, s.edits.apart = s.changeTogether, func(a, b *userEdit) bool { return a.id == b.id }
	s.additions.together, s.additions.apart = s.addTogether, func(a, b *newUser) bool { return a.person.userNameKey == b.person.userNameKey }
	if err := s.inspect(ctx, c.MinServerVersion); err != nil {
		pool.Close()
		return nil, err
	}
	if err := s.readRates(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

// Close writes what the provisioning log still has in memory and when credentials
// were last used, and releases the connections.
func (s *Store) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	if err := s.FlushRequests(ctx); err != nil {
		s.complain(ctx, "write the provisioning log", err)
	}
	s.flushUsage(ctx)
	s.pool.Close()
}

// mostConnections is how many a process opens unless it is told: a third of what
// PostgreSQL takes unless it is told.
const mostConnections = 32

func openPool(ctx context.Context, c Config) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(c.DatabaseURL)
	if err != nil {
		return nil, errors.New("the database URL is not valid") // never echo it: it may hold a password
	}
	config.MaxConns = int32(c.PoolSize)
	if c.PoolSize == 0 { // so that one tenant's share keeps the cores at work while commits wait for the disk
		config.MaxConns = int32(min(6*runtime.GOMAXPROCS(0), mostConnections))
	}
	config.MinIdleConns = config.MaxConns / 2
	config.ConnConfig.OnNotice = noteWarning
	config.AfterConnect = learnUUIDs
	config.ConnConfig.Tracer = c.Tracer
	for name, value := range map[string]string{
		"application_name":                    "muster",
		"statement_timeout":                   "5000",
		"lock_timeout":                        "2000",
		"idle_in_transaction_session_timeout": "5000",
		"default_transaction_isolation":       "read committed",
		"timezone":                            "UTC",
		// Nor is any table worth reading from end to end: a plan that hopes to find
		// one row early, where there is none, reads all of a large one.
		"enable_seqscan":  "off",
		"plan_cache_mode": "force_generic_plan", // planning anew costs more than any plan saves
		// A plan for any tenant is expected to read a third of the largest. Compiling it, and
		// starting workers for it, took 190 and 20 ms, five times a second, for a few hundred rows.
		"jit":                             "off",
		"max_parallel_workers_per_gather": "0",
	} {
		config.ConnConfig.RuntimeParams[name] = value
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return pool, nil
}

// Ready reports whether requests can be served: the database answers and its
// migrations are the ones of this program.
func (s *Store) Ready(ctx context.Context) error { return s.current(ctx) }

func (s *Store) current(ctx context.Context) error {
	var version int64
	err := s.pool.QueryRow(ctx, `select coalesce(max(version_id), 0) from goose_db_version where is_applied`).Scan(&version)
	switch {
	case state(err) == "42P01":
		return errors.New("the database has no schema yet: run muster migrate")
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case version < latest():
		return fmt.Errorf("the database is at migration %d, this program needs %d: run muster migrate", version, latest())
	}
	return nil
}

// Stats is a reading of the pool, for gauges.
type Stats struct{ Acquired, Idle, Max int32 }

// Stats reads the pool.
func (s *Store) Stats() Stats {
	p := s.pool.Stat()
	return Stats{Acquired: p.AcquiredConns(), Idle: p.IdleConns(), Max: p.MaxConns()}
}

package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/muster-id/muster/internal/fetch"
	"github.com/muster-id/muster/internal/localpg"
	"github.com/muster-id/muster/internal/login"
	"github.com/muster-id/muster/internal/server"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
)

// A world is a cluster with fsync on, a server process and what both need.
type world struct {
	length     time.Duration // of a row, all its slices together
	statements bool          // count the database's statements
	next       atomic.Int64  // numbers people over all rows of a run
	stages     atomic.Int64  // numbers groups that a rule reads
	profile    string        // file for the server's CPU profile; empty: none
	dir        string
	cluster    *localpg.Cluster
	url        string // of the database, for the server's role
	server     *exec.Cmd
	address    string
	store      *store.Store // of this process: to set up only
	raw        *pgxpool.Pool
	tenant     registry.Tenant
	conn       registry.Connection
	token      string
	secret     string
	vacuums    []time.Duration // CPU of the database, of each
}

var key = []byte("a key-encryption key for bench..")

const database = "bench"

func newWorld(ctx context.Context, o options) (*world, error) {
	dir, err := os.MkdirTemp("/tmp", "muster-bench-")
	if err != nil {
		return nil, err
	}
	w := &world{length: o.length, dir: dir, profile: o.profile, statements: o.statements}
	if err := w.start(ctx); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) start(ctx context.Context) (err error) {
	if w.cluster, err = localpg.Start(ctx, localpg.Config{Dir: w.dir, Fsync: true, Settings: w.settings()}); err != nil {
		return err
	}
	if err := w.cluster.EnsureDatabase(ctx, database); err != nil {
		return err
	}
	if w.statements {
		if _, err := w.cluster.Psql(ctx, database, "create extension pg_stat_statements"); err != nil {
			return err
		}
	}
	if err := store.Migrate(ctx, w.cluster.OwnerURL(database), localpg.ServerRole, func(string, ...any) {}); err != nil {
		return err
	}
	w.url = w.cluster.ServerURL(database)
	if w.store, err = store.Open(ctx, store.Config{DatabaseURL: w.url, Key: key, Local: true}); err != nil {
		return err
	}
	if err := w.setUp(ctx); err != nil {
		return err
	}
	if w.raw, err = w.openRaw(ctx); err != nil {
		return err
	}
	return w.spawn(ctx)
}

const rules = `
version: 1
rules:
  - id: everyone
    everyone: true
    grant: [timesheet.viewer]
  - id: payroll
    when: |
      user.enterprise.department == "Payroll" || "Finance" in groups
    grant: [timesheet.approver]
groupRoles:
`

// stage is the name of one of the groups that the rules read.
func stage(n int64) string { return fmt.Sprintf("Stage %d", n) }

// stages is how many there are: more than a run uses.
const stages = 20

// allRules are the rules and the groups that they read.
func allRules() string {
	text := rules
	for n := range int64(stages) {
		text += "  - name: " + stage(n+1) + "\n    grant: [timesheet.approver]\n"
	}
	return text
}

func (w *world) setUp(ctx context.Context) (err error) {
	v := w.store.Vendor("bench")
	if w.tenant, err = v.CreateTenant(ctx, registry.NewTenant{Slug: "bench"}); err != nil {
		return err
	}
	if w.conn, err = v.AddConnection(ctx, "bench", registry.Connection{Name: "entra", Kind: "entra"}); err != nil {
		return err
	}
	if w.token, _, err = v.CreateToken(ctx, "bench", "entra", registry.NewToken{Name: "bench"}); err != nil {
		return err
	}
	w.secret, _, err = v.AddApplication(ctx, registry.NewApplication{
		ClientID: "timesheet", RedirectURIs: []string{"https://timesheet.example/cb"},
		Tenants: []string{"bench"}, Roles: []string{"viewer", "approver"},
	})
	if err != nil {
		return err
	}
	dir, err := w.store.Admin(ctx, "bench", "bench", store.Request{ID: uuid.New()})
	if err != nil {
		return err
	}
	_, _, err = dir.PublishRules(ctx, []byte(allRules()))
	return err
}

// openRaw connects as the server's role, with the tenant named once for the
// connection: raw PostgreSQL spends no statement on it.
func (w *world) openRaw(ctx context.Context) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(w.url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = 64
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `select set_config('muster.tenant', $1, false), set_config('muster.connection', 'all', false)`, w.tenant.ID.String())
		return err
	}
	return pgxpool.NewWithConfig(ctx, config)
}

// settings load what counts statements, where it was asked for: it costs CPU.
func (w *world) settings() map[string]string {
	if !w.statements {
		return nil
	}
	return map[string]string{"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "all"}
}

// printStatements says where the database's time of a scenario went.
func (w *world) printStatements(ctx context.Context) error {
	if !w.statements {
		return nil
	}
	table, err := w.cluster.Psql(ctx, database, `
		select format('%8s calls %8s ms each %7s rows  %s', calls, round(mean_exec_time::numeric, 4), rows, left(regexp_replace(query, '\s+', ' ', 'g'), 110))
		from pg_stat_statements order by total_exec_time desc limit 25`)
	if err != nil {
		return err
	}
	fmt.Println(table)
	_, err = w.cluster.Psql(ctx, database, "select pg_stat_statements_reset()")
	return err
}

// noAutovacuum leaves vacuum to settle: a process that comes once a minute, mostly for what
// raw left behind, would be on the account of whose turn it is.
func (w *world) noAutovacuum(ctx context.Context) error {
	_, err := w.cluster.Psql(ctx, database, "alter system set autovacuum = off; select pg_reload_conf();")
	return err
}

// settle is what autovacuum does a minute later: statistics, and plans that
// know them.
func (w *world) settle(ctx context.Context) error {
	before, err := w.usage()
	if err != nil {
		return err
	}
	if _, err := w.cluster.Psql(ctx, database, "vacuum analyze"); err != nil {
		return err
	}
	w.raw.Reset()
	after, err := w.usage()
	w.vacuums = append(w.vacuums, after.minus(before).database)
	return err
}

// printVacuum says what vacuum has cost, which is on no row's account.
func (w *world) printVacuum() {
	var all time.Duration
	for _, each := range w.vacuums {
		all += each
	}
	fmt.Printf("vacuum analyze, on no row's account: %d times, %.1f s of CPU in all; autovacuum comes once a minute\n", len(w.vacuums), all.Seconds())
}

// spawn starts the server as a process of its own.
func (w *world) spawn(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	w.server = exec.CommandContext(ctx, self, "-serve", w.url, "-profile", w.profile)
	w.server.Stderr = os.Stderr
	out, err := w.server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := w.server.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	w.address = strings.TrimSpace(line)
	return err
}

// beServer is the server process. It says its address on standard output.
func beServer(ctx context.Context, url, profile string) error {
	if profile != "" {
		file, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	metrics := server.NewMetrics()
	s, err := store.Open(ctx, store.Config{DatabaseURL: url, Key: key, Local: true, Metrics: metrics.Store()})
	if err != nil {
		return err
	}
	defer s.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	srv, err := server.New(server.Config{Store: s, PublicURL: "http://" + listener.Addr().String(), Log: log, Metrics: metrics,
		Limits: server.Limits{SignIns: server.Unlimited(), Failures: server.Unlimited(), Requests: server.Unlimited()},
		Login:  login.Config{Fetch: fetch.NewClient(fetch.Config{AllowLoopback: true})},
	})
	if err != nil {
		return err
	}
	go s.Run(ctx)
	return srv.Serve(ctx, listener, nil)
}

func (w *world) usage() (usage, error) { return readUsage(w.server.Process.Pid, w.cluster.Pid()) }

// scim opens a connection of the SCIM client.
func (w *world) scim() (*client, error) { return dial(w.address, "Bearer "+w.token) }

// application opens a connection of the application's back-end.
func (w *world) application() (*client, error) {
	return dial(w.address, "Basic "+base64.StdEncoding.EncodeToString([]byte("timesheet:"+w.secret)))
}

func (w *world) close() {
	if w.server != nil && w.server.Process != nil {
		w.server.Process.Signal(os.Interrupt)
		w.server.Wait()
	}
	if w.raw != nil {
		w.raw.Close()
	}
	if w.store != nil {
		w.store.Close()
	}
	if w.cluster != nil {
		w.cluster.Stop(context.Background())
	}
	os.RemoveAll(w.dir)
}

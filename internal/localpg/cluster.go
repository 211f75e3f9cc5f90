package localpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The roles of a cluster, besides the superuser postgres. None is a superuser,
// may create databases or roles, or is exempt from row-level security.
const (
	// OwnerRole owns every database that [Cluster.CreateDatabase] makes, and migrates it.
	OwnerRole = "muster_owner"
	// ServerRole may connect to those databases; what else it may do, migrations grant.
	ServerRole = "muster_server"
)

// Config says where a cluster lives and how it runs.
type Config struct {
	// Dir is the cluster's folder. It is made if it does not exist, and must
	// otherwise be empty or a cluster's. When the program is root, the user postgres
	// must be able to reach it: nothing below /root serves.
	Dir string
	// Fsync makes what was committed survive a crash of the machine. Without it the
	// cluster is for tests that do not test that.
	Fsync bool
	// Settings are further parameters of postgresql.conf, such as
	// "synchronous_standby_names". They win over the cluster's own.
	Settings map[string]string
	// Log is told in a line each what takes long or repairs something; nil: nobody is.
	Log io.Writer
}

// A Cluster is a PostgreSQL server with its databases. Its methods may be called
// concurrently, except Stop, Kill and Restart, which are its owner's.
type Cluster struct {
	config   Config
	folder   folder
	binaries binaries
	socket   string // the folder of the socket
	lock     *os.File
	stopped  bool // the lock is given back
	pid      int
	server   *os.Process   // nil for an attached cluster
	exited   chan struct{} // closed when server has ended
	lifeline io.Closer     // of a cluster for tests, which is removed when this is closed
}

// Start runs the cluster in config.Dir, which it makes if it is not there, and
// returns once it takes connections. It fails with [ErrInUse] when another program
// runs it, [ErrNoPostgres] when PostgreSQL is missing, and [ErrOtherVersion] when
// only other major versions are here than the one that made the data.
func Start(ctx context.Context, config Config) (*Cluster, error) {
	if config.Log == nil {
		config.Log = io.Discard
	}
	folder, err := openFolder(config.Dir)
	if err != nil {
		return nil, fmt.Errorf("local PostgreSQL: %w", err)
	}
	lock, err := folder.lock()
	if err != nil {
		return nil, fmt.Errorf("local PostgreSQL: %w", err)
	}
	c := &Cluster{config: config, folder: folder, lock: lock}
	if err := c.start(ctx); err != nil {
		lock.Close()
		return nil, fmt.Errorf("local PostgreSQL: %w", err)
	}
	return c, nil
}

// Attach returns the cluster that another program runs in dir, for use, not to be
// stopped: the command line beside a server, a test beside others.
func Attach(dir string) (*Cluster, error) {
	data := filepath.Join(dir, "data")
	file, err := readPidFile(data)
	if err != nil {
		return nil, fmt.Errorf("local PostgreSQL: no server to attach to in %s: %w", dir, err)
	}
	if !file.ready {
		return nil, fmt.Errorf("local PostgreSQL: the server in %s is starting or stopping", dir)
	}
	b, err := chooseBinaries(findBinaries(), data)
	if err != nil {
		return nil, fmt.Errorf("local PostgreSQL: %w", err)
	}
	return &Cluster{folder: folder{path: dir}, binaries: b, socket: file.socket, pid: file.pid}, nil
}

func (c *Cluster) start(ctx context.Context) error {
	var err error
	if c.binaries, err = chooseBinaries(findBinaries(), c.folder.data()); err != nil {
		return err
	}
	if err := c.initialise(ctx); err != nil {
		return err
	}
	if err := stopOrphan(ctx, c.folder); err != nil {
		return err
	}
	if c.socket, err = c.folder.openSocket(); err != nil {
		return err
	}
	if err := c.launch(ctx); err != nil {
		return err
	}
	if err := c.createRoles(ctx); err != nil {
		return errors.Join(err, c.end(ctx, syscall.SIGINT))
	}
	return nil
}

// initialise makes the data folder unless it is there. It appears by a rename, so
// that a kill amid initdb leaves nothing that looks like one.
func (c *Cluster) initialise(ctx context.Context) error {
	if _, err := os.Stat(c.folder.data()); err == nil {
		return nil
	}
	fmt.Fprintf(c.config.Log, "making a private PostgreSQL %d in %s\n", c.binaries.major, c.folder.path)
	unfinished := c.folder.data() + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	// The locale C never changes its order with the system's libraries, which would
	// corrupt indexes; Muster folds case itself.
	arguments := []string{"--pgdata", unfinished, "--username", "postgres", "--encoding", "UTF8", "--locale", "C",
		"--auth-local", "trust", "--auth-host", "reject", "--data-checksums", "--no-instructions"}
	if !c.config.Fsync {
		arguments = append(arguments, "--no-sync")
	}
	initdb := exec.CommandContext(ctx, c.binaries.path("initdb"), arguments...)
	initdb.Dir, initdb.Env, initdb.SysProcAttr = c.folder.path, environment(), c.folder.user.attributes()
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return os.Rename(unfinished, c.folder.data())
}

// launch runs the server until it takes connections. When processes of a killed
// server still use its shared memory, it tries again until they have ended.
func (c *Cluster) launch(ctx context.Context) error {
	const busy = "pre-existing shared memory block"
	for {
		err := c.launchOnce(ctx)
		if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), busy) {
			return err
		}
		fmt.Fprintln(c.config.Log, "waiting for processes of a PostgreSQL that was killed")
		time.Sleep(10 * pause)
	}
}

func (c *Cluster) launchOnce(ctx context.Context) error {
	log, err := c.folder.openLog()
	if err != nil {
		return err
	}
	defer log.Close()
	server := exec.Command(c.binaries.path("postgres"), c.arguments()...)
	server.Dir, server.Env, server.SysProcAttr = c.folder.data(), environment(), c.folder.user.attributes()
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	c.server, c.pid, c.exited = server.Process, server.Process.Pid, exited
	go func() {
		server.Wait() // how it ended is in the log
		close(exited)
	}()
	return c.waitReady(ctx)
}

// waitReady returns once the server takes connections, or why it does not.
func (c *Cluster) waitReady(ctx context.Context) error {
	ready := func() bool {
		file, err := readPidFile(c.folder.data())
		return err == nil && file.pid == c.pid && file.ready
	}
	err := waitFor(ctx, func() bool { return ready() || !c.running() })
	if err != nil {
		return errors.Join(err, c.end(context.WithoutCancel(ctx), syscall.SIGQUIT))
	}
	if !ready() {
		return fmt.Errorf("PostgreSQL did not start:\n%s", c.folder.logTail())
	}
	return nil
}

// arguments are the server's command line: where it is and its settings.
func (c *Cluster) arguments() []string {
	settings := map[string]string{
		"listen_addresses":        "",
		"port":                    "5432",
		"unix_socket_directories": c.socket,
		"unix_socket_permissions": "0700",
		"fsync":                   onOff(c.config.Fsync),
		"full_page_writes":        onOff(c.config.Fsync),
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"lc_messages":             "C",
		"log_line_prefix":         "%m [%p] %q%u@%d ",
		// No personal data in the log: neither parameters nor the details of an
		// error, which quote the row.
		"log_parameter_max_length":          "0",
		"log_parameter_max_length_on_error": "0",
		"log_error_verbosity":               "terse",
	}
	maps.Copy(settings, c.config.Settings)
	arguments := []string{"-D", c.folder.data()}
	for name, value := range settings {
		arguments = append(arguments, "--"+name+"="+value)
	}
	slices.Sort(arguments[2:])
	return arguments
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// environment is all that PostgreSQL's programs see of ours: nothing of the user's
// PGDATA, PGHOST, PGOPTIONS or language.
func environment() []string {
	return []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
}

// Stop ends the server in order: open transactions are rolled back, what was
// committed is on disk. When ctx ends first, the server is stopped at once and
// recovers at the next Start; that is no error, the data is safe either way. A second
// Stop does nothing.
func (c *Cluster) Stop(ctx context.Context) error {
	if c.stopped {
		return nil
	}
	if err := c.end(ctx, syscall.SIGINT); err != nil {
		return err
	}
	c.stopped = true
	err := errors.Join(c.folder.removeSocket(), c.lock.Close())
	if c.lifeline != nil {
		err = errors.Join(err, c.lifeline.Close())
	}
	return err
}

// Kill ends the server as a crash would, for tests. Its socket stays, and so does the
// claim on the folder; Restart brings it back.
func (c *Cluster) Kill(ctx context.Context) error { return c.end(ctx, syscall.SIGKILL) }

// Restart starts the server again after Kill or a crash, or stops it first if it
// runs. The URLs stay the same. After Stop the folder may be another program's, and
// Restart fails.
func (c *Cluster) Restart(ctx context.Context) error {
	if c.stopped {
		return fmt.Errorf("local PostgreSQL: %s was given back by Stop: use Start", c.folder.path)
	}
	if err := c.end(ctx, syscall.SIGINT); err != nil {
		return err
	}
	return c.start(ctx)
}

// Exited is closed when the server has ended, for whatever reason. It is nil for
// an attached cluster and renewed by Restart.
func (c *Cluster) Exited() <-chan struct{} { return c.exited }

// Pid is the server's process.
func (c *Cluster) Pid() int { return c.pid }

// Dir is the cluster's folder, for [Attach].
func (c *Cluster) Dir() string { return c.folder.path }

func (c *Cluster) running() bool {
	select {
	case <-c.exited:
		return false
	default:
		return true
	}
}

// end signals the server and waits until it has ended.
func (c *Cluster) end(ctx context.Context, signal os.Signal) error {
	if c.server == nil {
		return fmt.Errorf("local PostgreSQL: %s is run by another program, which must stop it", c.folder.path)
	}
	if err := c.server.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-c.exited:
	case <-ctx.Done():
		c.server.Signal(syscall.SIGQUIT)
		<-c.exited
	}
	return nil
}

// OwnerURL is the connection string for [OwnerRole]. It needs no password.
func (c *Cluster) OwnerURL(database string) string { return c.url(OwnerRole, database) }

// ServerURL is the connection string for [ServerRole]. It needs no password.
func (c *Cluster) ServerURL(database string) string { return c.url(ServerRole, database) }

func (c *Cluster) url(role, database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.User(role),
		Path:     "/" + database,
		RawQuery: url.Values{"host": {c.socket}, "port": {"5432"}}.Encode(),
	}
	return u.String()
}

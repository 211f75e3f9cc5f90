package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/muster-id/muster/internal/localpg"
	"github.com/muster-id/muster/internal/server"
	"github.com/muster-id/muster/internal/store/storetest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"muster": main})
}

// Each script is the story of one command, on a database of its own: migrated,
// and named in the environment together with a key. $ADDR is a free address for
// a server.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	root := reachable(t)
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".txtar"), func(t *testing.T) {
			t.Parallel()
			owner, server := storetest.Database(t)
			testscript.Run(t, testscript.Params{
				Files:               []string{script},
				WorkdirRoot:         root,
				RequireExplicitExec: true,
				RequireUniqueNames:  true,
				Setup: func(env *testscript.Env) error {
					key := filepath.Join(env.WorkDir, "test.key")
					env.Setenv("MUSTER_DATABASE_URL", server)
					env.Setenv("OWNER_URL", owner)
					env.Setenv("MUSTER_KEY_FILE", key)
					env.Setenv("ADDR", fmt.Sprintf("127.0.0.1:%d", freePort(t)))
					env.Setenv("MUSTER_METRICS_LISTEN", "off")
					env.Setenv("GORACE", "atexit_sleep_ms=0") // else each command takes a second to end
					return writeSecret(key, newKey()+"\n")
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"exits": exits, "remember": remember, "wait-for": waitFor, "mode": mode, "delete": deleteResource, "sql": runSQL, "local-sql": runLocalSQL, "peer": forward,
				},
			})
		})
	}
}

// reachable is a folder that PostgreSQL's user reaches, also where the test is
// root's: t.TempDir is of mode 0700.
func reachable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "muster-cmd-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// freePort finds a port below those that the system gives out by itself.
func freePort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		port := 12000 + int(time.Now().UnixNano()/1000)%18000
		if free(port) {
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

// exits runs a command that must end with the given exit code: exits 3 muster check …
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command [argument ...]")
	}
	got := 0
	err := ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("%s: exit code %d, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// remember sets a variable to what a pattern captures in the last standard
// output, and writes it to a file of that name: remember TOKEN '(muster_scim_.*)'
func remember(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: remember NAME pattern")
	}
	out := ts.ReadFile("stdout")
	found := regexp.MustCompile(args[1]).FindStringSubmatch(out)
	if len(found) != 2 {
		ts.Fatalf("%s is not in:\n%s", args[1], out)
	}
	ts.Setenv(args[0], found[1])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(found[1]+"\n"), 0o600))
}

// waitFor returns once the address answers 200.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: wait-for URL")
	}
	const tries = 600
	for range tries {
		response, err := http.Get(args[0])
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("%s does not answer 200", args[0])
}

// deleteResource deletes a resource as a provisioning client: delete URL token
func deleteResource(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: delete URL token")
	}
	request, err := http.NewRequest(http.MethodDelete, args[0], nil)
	ts.Check(err)
	request.Header.Set("Authorization", "Bearer "+args[1])
	response, err := http.DefaultClient.Do(request)
	ts.Check(err)
	response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		ts.Fatalf("DELETE %s: %s, want 204", args[0], response.Status)
	}
}

// forward asks as a load balancer does that has heard from an address: peer URL address
func forward(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: peer URL address")
	}
	request, err := http.NewRequest(http.MethodGet, args[0], nil)
	ts.Check(err)
	request.Header.Set("X-Forwarded-For", args[1])
	response, err := http.DefaultClient.Do(request)
	ts.Check(err)
	response.Body.Close()
}

// runSQL does what somebody with the owner's role could do: sql URL statement ...
func runSQL(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: sql URL statement ...")
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, args[0])
	ts.Check(err)
	defer conn.Close(ctx)
	for _, statement := range args[1:] {
		_, err := conn.Exec(ctx, statement)
		ts.Check(err)
	}
}

// runLocalSQL is runSQL on the database of serve --local: local-sql folder statement ...
func runLocalSQL(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: local-sql folder statement ...")
	}
	cluster, err := localpg.Attach(ts.MkAbs(args[0]))
	ts.Check(err)
	runSQL(ts, neg, append([]string{cluster.OwnerURL(localDatabase)}, args[1:]...))
}

// mode fails unless the file has the mode: mode 0600 file
func mode(ts *testscript.TestScript, neg bool, args []string) {
	stat, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%#o", stat.Mode().Perm()); neg || got != args[0] {
		ts.Fatalf("%s: mode %s, want %s", args[1], got, args[0])
	}
}

// Whoever asks for help gets an example to begin from.
func TestEveryCommandHasHelp(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, line := range strings.Split(c.Example, "\n") {
			if !strings.HasPrefix(line, "  ") || !strings.Contains(c.Example, "  "+c.CommandPath()) {
				t.Errorf("%s --help has no example, or one of another form: %q", c.CommandPath(), line)
			}
		}
		if c.Short == "" {
			t.Errorf("%s has no description", c.CommandPath())
		}
		for _, below := range c.Commands() {
			visit(below)
		}
	}
	visit((&program{}).root())
}

// A flag that another program could read in the list of processes holds no secret.
func TestNoFlagTakesASecret(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, name := range []string{"secret", "token", "key", "password", "client-secret"} {
			if c.Flags().Lookup(name) != nil || c.PersistentFlags().Lookup(name) != nil {
				t.Errorf("%s has a flag --%s: take a file", c.CommandPath(), name)
			}
		}
		for _, below := range c.Commands() {
			visit(below)
		}
	}
	visit((&program{}).root())
}

func TestMaskURL(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "",
		"postgres://muster_server@db/muster": "postgres://muster_server@db/muster",
		"postgres://u:p%40ss@db/muster?sslmode=require": "postgres://u:********@db/muster?sslmode=require",
		"postgres://u@db/muster?password=x&host=y":      "postgres://u@db/muster?host=y&password=********",
		"postgres://u@db/muster?sslPassword=x":          "postgres://u@db/muster?sslPassword=********",
		"host=db user=u dbname=muster":                  "host=db user=u dbname=muster",
		"host=db user=u password=x":                     masked,
		"postgres://u:p@db:port/muster":                 masked,
	} {
		if got := maskURL(text); got != want {
			t.Errorf("maskURL(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestParseKey(t *testing.T) {
	key := newKey()
	for text, ok := range map[string]bool{
		key: true, key + "\n": true, strings.TrimRight(key, "="): true,
		strings.NewReplacer("+", "-", "/", "_").Replace(key): true,
		"": false, key[:40]: false, key + key: false, "not base64 at all, whatever it may say": false,
	} {
		got, err := parseKey([]byte(text), "a file")
		if (err == nil) != ok || ok && len(got) != 32 {
			t.Errorf("parseKey(%d characters) = %d bytes, %v", len(text), len(got), err)
		}
		if err != nil && text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("the error tells the key: %v", err)
		}
	}
}

// Names come from directories of others: they cannot forge lines of a table.
func TestTablesShowNoControlCharacters(t *testing.T) {
	var b strings.Builder
	table := newTable(&b)
	table.row("a\x1b[2Jb\nc\u202ed\u0085e\u2028f\u2029g\ufeffh\u061ci\u2060j\U000e0041k", "x")
	table.writer.Flush()
	if want := "a·[2Jb·c·d·e·f·g·h·i·j·k  x\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestTrustedProxiesAndLimits(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "[]",
		"10.0.0.0/8":                 "[10.0.0.0/8]",
		"10.1.2.3/8, fd00::/8":       "[10.0.0.0/8 fd00::/8]",
		"192.0.2.7,2001:db8::1":      "[192.0.2.7/32 2001:db8::1/128]",
		"0.0.0.0/0":                  "",
		"10.0.0.0/33":                "",
		"::ffff:10.0.0.0/104":        "",
		"fe80::1%eth0":               "",
		"10.0.0.0/8;192.168.0.0/16":  "",
		"10.0.0.0/8,loadbalancer:80": "",
	} {
		got, err := (&settings{TrustedProxies: text}).trustedProxies()
		if (err == nil) != (want != "") || err == nil && fmt.Sprint(got) != want {
			t.Errorf("%q: got %v %v, want %q", text, got, err, want)
		}
	}
	s := settings{SignInsPerSecond: 200}
	want := server.Limits{SignIns: server.Rate{PerSecond: 200, Burst: 1000}}
	if got := s.limits(); got != want {
		t.Errorf("got %+v, want %+v: what is not set is the server's default", got, want)
	}
}

func TestChoosePortRefusesTakenOnes(t *testing.T) {
	port := freePort(t)
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+portsNeeded-1))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := choosePort(port); err == nil {
		t.Errorf("the row from %d on was taken although %d is in use", port, port+portsNeeded-1)
	}
}

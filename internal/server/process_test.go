package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/fetch"
	"github.com/muster-id/muster/internal/login"
	"github.com/muster-id/muster/internal/server"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/storetest"
)

// These make this test binary a server process of its own: the database it
// serves, and its public URL if that is another process's.
const (
	processDatabase  = "MUSTER_TEST_SERVER_DATABASE"
	processPublicURL = "MUSTER_TEST_SERVER_PUBLIC_URL"
)

func TestMain(m *testing.M) {
	if database := os.Getenv(processDatabase); database != "" {
		if err := serveProcess(database, os.Getenv(processPublicURL)); err != nil {
			fmt.Fprintln(os.Stderr, "server process:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serveProcess serves the database as the program does, says where, and ends
// with the process that started it, whose end of standard input it holds.
func serveProcess(database, publicURL string) error {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	own := "http://" + listener.Addr().String()
	if publicURL == "" {
		publicURL = own
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	st, err := store.Open(ctx, store.Config{DatabaseURL: database, Key: storetest.Key(), PoolSize: 12, Local: true, Log: log})
	if err != nil {
		return err
	}
	client := fetch.NewClient(fetch.Config{AllowLoopback: true})
	s, err := server.New(server.Config{Store: st, PublicURL: publicURL, Log: log, Limits: unlimited(), Login: login.Config{Fetch: client}})
	if err != nil {
		return err
	}
	go st.Run(ctx)
	fmt.Println(own)
	return s.Serve(ctx, listener, nil)
}

// A process is one server process.
type process struct {
	url     string
	command *exec.Cmd
}

// startProcess starts a server process and returns once it listens. It ends
// with the test.
func startProcess(t *testing.T, database, publicURL string) *process {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(binary)
	command.Env = append(os.Environ(), processDatabase+"="+database, processPublicURL+"="+publicURL)
	log := &lockedBuffer{}
	command.Stderr = log
	lifeline, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{command: command}
	t.Cleanup(func() {
		lifeline.Close()
		command.Wait()
		said := log.String()
		if strings.Contains(said, "DATA RACE") {
			t.Error("the server process has a data race")
		}
		if t.Failed() && said != "" {
			t.Logf("the server process said:\n%.2000s", said)
		}
	})
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatalf("the server process said nothing: %v", err)
	}
	p.url = strings.TrimSpace(line)
	return p
}

// kill ends the process as kill -9 does.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.command.Wait()
}

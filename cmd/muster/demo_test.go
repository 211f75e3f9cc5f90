package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The demo tells its story to the end, what it prints at the end works, Ctrl-C
// stops all of it, and a second run finds the data.
func TestDemo(t *testing.T) {
	dir, port := filepath.Join(reachable(t), "demo"), strconv.Itoa(freePort(t))
	first := startDemo(t, dir, "--port", port)
	for _, want := range []string{
		"24 people, 6 groups",
		"timesheet.approver  3       payroll-approvers",
		"timesheet.viewer    24      everyone",
		"user.enterprise.department=Payroll",
		"Ringling  at Entra ID: allowed",
		"Cirque    at Okta: allowed",
		"allowed false, reason inactive",
		`sign-in: 403 "Your access has been switched off", reason inactive`,
		"Activated again: the same user, roles timesheet.approver, timesheet.viewer",
	} {
		if !strings.Contains(first.text, want) {
			t.Errorf("the account lacks %q:\n%s", want, first.text)
		}
	}
	first.tryPages(t)
	if answer := first.tryCurl(t); !strings.Contains(answer, `"allowed":true`) || !strings.Contains(answer, "timesheet.approver") {
		t.Errorf("the curl line answered %q", answer)
	}
	first.stop(t)

	second := startDemo(t, dir)
	if diff := cmp.Diff(users(first.text), users(second.text)); diff != "" {
		t.Errorf("the second run has other users (-first +second):\n%s", diff)
	}
	if answer := second.tryCurl(t); !strings.Contains(answer, `"allowed":true`) {
		t.Errorf("the second run's curl line answered %q", answer)
	}
	muster(t, "connection", "disable", "entra", "--tenant", "ringling", "--local", "--data", dir)
	second.stop(t)
	third := beginDemo(t, dir)
	third.await(t, "Connection entra of ringling is disabled, so its directory is refused")
	line := regexp.MustCompile(`(?m)^   bin/muster (connection .*)$`).FindStringSubmatch(third.text)
	muster(t, strings.Fields(line[1])...) // as the demo says
	third.await(t, "bin/muster explain")
	third.stop(t)
	for _, secret := range []string{"key", "demo.json", "timesheet.secret", "server.log"} {
		if stat, err := os.Stat(filepath.Join(dir, secret)); err != nil || stat.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", secret, stat.Mode(), err)
		}
	}
}

// muster runs a command beside the demo.
func muster(t *testing.T, args ...string) {
	t.Helper()
	var out bytes.Buffer
	if code := (&program{in: strings.NewReader(""), out: &out, errs: &out}).run(t.Context(), args); code != exitDone {
		t.Fatalf("muster %s: exit code %d:\n%s", strings.Join(args, " "), code, &out)
	}
}

// A runningDemo has told its story, or is about to.
type runningDemo struct {
	text   string
	cancel context.CancelFunc
	exited chan int
	out    *transcript
}

// A transcript is what a program has printed so far.
type transcript struct {
	mu    sync.Mutex
	text  bytes.Buffer
	wrote chan struct{} // holds one value when there is something new
}

func (tr *transcript) Write(text []byte) (int, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	select {
	case tr.wrote <- struct{}{}:
	default:
	}
	return tr.text.Write(text)
}

func (tr *transcript) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.text.String()
}

// startDemo returns once the demo has printed where to look.
func startDemo(t *testing.T, dir string, more ...string) *runningDemo {
	t.Helper()
	d := beginDemo(t, dir, more...)
	d.await(t, "bin/muster explain")
	return d
}

func beginDemo(t *testing.T, dir string, more ...string) *runningDemo {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	d := &runningDemo{cancel: cancel, exited: make(chan int, 1), out: &transcript{wrote: make(chan struct{}, 1)}}
	p := &program{in: strings.NewReader(""), out: d.out, errs: d.out}
	go func() { d.exited <- p.run(ctx, append([]string{"run-demo", "--data", dir}, more...)) }()
	return d
}

// await returns once the demo has printed a text.
func (d *runningDemo) await(t *testing.T, text string) {
	t.Helper()
	for {
		if d.text = d.out.String(); strings.Contains(d.text, text) {
			return
		}
		select {
		case code := <-d.exited:
			t.Fatalf("the demo ended with exit code %d:\n%s", code, d.out)
		case <-d.out.wrote:
		}
	}
}

// stop is Ctrl-C.
func (d *runningDemo) stop(t *testing.T) {
	t.Helper()
	d.cancel()
	if code := <-d.exited; code != exitDone {
		t.Errorf("exit code %d after Ctrl-C:\n%s", code, d.out)
	}
	for _, address := range addresses(d.text) {
		if response, err := http.Get(address); err == nil {
			response.Body.Close()
			t.Errorf("%s still answers after Ctrl-C", address)
		}
	}
}

var addressPattern = regexp.MustCompile(`(?m)^   \S.*  (http://\S+)$`)

// addresses are those that the demo invites to open.
func addresses(text string) []string {
	var list []string
	for _, found := range addressPattern.FindAllStringSubmatch(text, -1) {
		list = append(list, found[1])
	}
	return list
}

func (d *runningDemo) tryPages(t *testing.T) {
	t.Helper()
	list := addresses(d.text)
	if len(list) != 5 {
		t.Errorf("the demo names %d addresses, want 5: %v", len(list), list)
	}
	for _, address := range list {
		response, err := http.Get(address)
		if err != nil {
			t.Error(err)
			continue
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", address, response.Status)
		}
	}
}

// tryCurl runs the line that the demo prints, as a person would.
func (d *runningDemo) tryCurl(t *testing.T) string {
	t.Helper()
	line := regexp.MustCompile(`(?m)^   (curl .*)$`).FindStringSubmatch(d.text)
	if line == nil {
		t.Fatalf("there is no curl line:\n%s", d.text)
	}
	if _, err := exec.LookPath("curl"); err != nil {
		return d.askWithoutCurl(t, line[1])
	}
	answer, err := exec.Command("sh", "-c", line[1]).Output()
	if err != nil {
		t.Fatalf("%s: %v", line[1], err)
	}
	return string(answer)
}

var curlPattern = regexp.MustCompile(`-u "(\w+):\$\(cat (\S+)\)" -d '(\{.*\})' (http\S+)`)

// askWithoutCurl sends what the line says on a machine that has no curl.
func (d *runningDemo) askWithoutCurl(t *testing.T, line string) string {
	t.Helper()
	parts := curlPattern.FindStringSubmatch(line)
	if parts == nil {
		t.Fatalf("the curl line is of another form: %s", line)
	}
	secret, err := os.ReadFile(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodPost, parts[4], strings.NewReader(parts[3]))
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(parts[1], strings.TrimSpace(string(secret)))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func users(text string) []string {
	return regexp.MustCompile(`user [0-9a-f-]{36}`).FindAllString(text, -1)
}

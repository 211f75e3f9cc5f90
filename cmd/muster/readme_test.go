package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muster-id/muster/migrations"
	"github.com/muster-id/muster/rules"
)

// The commands of "Your own" work one after the other, as somebody new runs them.
func TestTheCommandsOfTheREADMEWork(t *testing.T) {
	_, own, _ := strings.Cut(readme(t), "## Your own")
	_, own, _ = strings.Cut(own, "```sh\n")
	script, _, found := strings.Cut(own, "```\n")
	if !found {
		t.Fatal("README.md has no block of commands")
	}
	dir := clone(t)
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	script = strings.NewReplacer(
		"make build\n", "trap 'kill $!; wait $!' EXIT\n",
		"127.0.0.1:8080", address,
		"curl -sf http://127.0.0.1:8080/readyz", "bin/muster tenant list", // not every machine has curl
	).Replace(script)
	c := exec.CommandContext(t.Context(), "sh", "-eu", "-c", script)
	c.Dir = dir
	c.Env = append(os.Environ(), "MUSTER_DATA="+filepath.Join(dir, "data"), "MUSTER_LISTEN="+address, "MUSTER_METRICS_LISTEN=off")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	for _, want := range []string{"urn:example:scim:acme:User", "published as version  1", "acme, beta", "acme: 0 diagnoses"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q was not printed:\n%s", want, out)
		}
	}
	for _, file := range []string{"secret.txt", "acme.json"} {
		if exists(filepath.Join(dir, file)) {
			t.Errorf("%s is left where git finds it", file)
		}
	}
}

// What the README shows of a first run names every migration.
func TestTheREADMENamesEveryMigration(t *testing.T) {
	names, err := fs.Glob(migrations.Files, "*.sql")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	want := "applied " + strings.Join(names, "\napplied ") + "\n\n1. Up"
	if !strings.Contains(readme(t), want) {
		t.Errorf("the output of make run in README.md lacks:\n%s", want)
	}
}

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// clone is a folder with what the commands find in a clone that was built.
func clone(t *testing.T) string {
	t.Helper()
	dir := reachable(t)
	program, err := exec.LookPath("muster") // which TestMain has made
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, filepath.Join(dir, "bin", "muster")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "rules"), rules.Files); err != nil {
		t.Fatal(err)
	}
	return dir
}

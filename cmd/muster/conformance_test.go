package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// An interrupt amid a play ends with exit code 1, after what was made is deleted, and
// with the report in whatever form was asked for.
func TestConformanceReportsWhereItIsInterrupted(t *testing.T) {
	for _, c := range []struct{ flag, want string }{{"--json=false", "\ninterrupted: 1 of 2 were not played\n"}, {"--json", `"interrupted": 1`}} {
		ctx, interrupt := context.WithCancel(t.Context())
		var deleted []string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.Method {
			case http.MethodPost:
				interrupt()
				w.WriteHeader(http.StatusCreated)
				io.WriteString(w, `{"id":"42"}`)
			case http.MethodDelete:
				deleted = append(deleted, r.URL.Path)
				w.WriteHeader(http.StatusNoContent)
			default:
				io.WriteString(w, `{"etag":{"supported":true},"totalResults":0}`)
			}
		}))
		dir := t.TempDir()
		token, junit := filepath.Join(dir, "token"), filepath.Join(dir, "report.xml")
		if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		errs, err := os.Create(filepath.Join(dir, "errors")) // written to by the signal too
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		p := &program{in: strings.NewReader(""), out: &out, errs: errs}
		code := p.run(ctx, []string{"conformance", "--url", server.URL, "--token-file", token, "--only", "rfc7644/create,rfc7644/delete",
			"--yes", "--junit", junit, c.flag})
		server.Close()
		errs.Close()
		said, _ := os.ReadFile(errs.Name())
		if code != exitFailed || !strings.Contains(string(said), "muster: interrupted: 1 of 2 were not played\n") {
			t.Errorf("got exit code %d, and %s", code, said)
		}
		if !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: got\n%s\nwant %q in it", c.flag, out.String(), c.want)
		}
		if report, err := os.ReadFile(junit); err != nil || !strings.Contains(string(report), `skipped="1"`) {
			t.Errorf("got %v, and\n%s", err, report)
		}
		if !slices.Equal(deleted, []string{"/Users/42"}) {
			t.Errorf("deleted %q", deleted)
		}
	}
}

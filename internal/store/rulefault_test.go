package store_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/muster-id/muster/internal/store"
)

// A rule that fails for somebody grants them nothing, and is reported: counted each
// time, said once, without anything of the person.
func TestARuleThatFailsIsReported(t *testing.T) {
	var failed atomic.Int64
	var lines lockedLines
	p := logged(t, func(c *store.Config) {
		c.Metrics.RuleFailed = func() { failed.Add(1) }
		c.Log = slog.New(slog.NewJSONHandler(&lines, nil))
	})
	rules := "version: 1\nconnections: [first]\nrules:\n" +
		"  - id: third-address\n    when: |\n      user.emails[2].value == \"x\"\n    grant: [" + p.client + ".viewer]\n" +
		"  - id: titled\n    when: |\n      user.title == \"Rigger\"\n    grant: [" + p.client + ".viewer]\n"
	if _, issues, err := p.admin().PublishRules(t.Context(), []byte(rules)); err != nil {
		t.Fatal(err, issues)
	}
	doc := person("jamie@ringling.example", "jamie")
	doc.Resource["emails"] = []any{map[string]any{"value": "jamie@ringling.example"}}
	for _, name := range []string{"jamie@ringling.example", "robin@ringling.example"} {
		doc.Resource["userName"] = name
		u, _, err := p.scim().CreateUser(t.Context(), doc)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := p.admin().Explain(t.Context(), u.ID.String()); err != nil || len(e.Assignments) != 0 {
			t.Errorf("%s holds %+v %v, want nothing", name, e.Assignments, err)
		}
	}
	if n := failed.Load(); n < 2 {
		t.Errorf("%d failures are counted, want one for each derivation at least", n)
	}
	text := lines.String()
	if n := strings.Count(text, `"rule":"third-address"`); n != 1 || strings.Contains(text, "titled") || strings.Contains(text, "ringling.example") {
		t.Errorf("%d lines are of the rule, want one, none about a missing attribute and nobody's name: %s", n, text)
	}
}

type lockedLines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedLines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *lockedLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

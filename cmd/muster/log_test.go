package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/history"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// A watcher ends what writes to it once it has seen so many lines.
type watcher struct {
	bytes.Buffer
	lines int
	end   context.CancelFunc
}

func (w *watcher) Write(line []byte) (int, error) {
	n, err := w.Buffer.Write(line)
	if bytes.Count(w.Bytes(), []byte("\n")) >= w.lines {
		w.end()
	}
	return n, err
}

// Who follows the log sees each request once, the oldest first, also what came
// while they watched.
func TestTheLogIsFollowed(t *testing.T) {
	st := storetest.New(t)
	v := st.Vendor("test")
	if _, err := v.CreateTenant(t.Context(), registry.NewTenant{Slug: "ringling"}); err != nil {
		t.Fatal(err)
	}
	if _, err := v.AddConnection(t.Context(), "ringling", registry.Connection{Name: "entra", Kind: "entra"}); err != nil {
		t.Fatal(err)
	}
	token, _, err := v.CreateToken(t.Context(), "ringling", "entra", registry.NewToken{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	create := func(name string) {
		dir, err := st.SCIM(t.Context(), "ringling", token, store.Request{ID: uuid.Must(uuid.NewV7()), Method: "POST", Path: "/t/ringling/scim/v2/Users"})
		if err == nil {
			_, _, err = dir.CreateUser(t.Context(), scim.Document{Resource: scim.Resource{"userName": name, "active": true}})
		}
		if err != nil {
			t.Error(err)
		}
	}
	create("first")
	create("second")
	admin, err := st.Admin(t.Context(), "ringling", "test", store.Request{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &watcher{lines: 3, end: cancel}
	p := &program{out: out, json: true}
	seen := &watcher{lines: 2, end: sync.OnceFunc(func() { create("third") })}
	p.out = both{out, seen}
	if err := p.followLog(ctx, admin, history.Query{}); err != nil {
		t.Fatal(err)
	}
	var last string
	decoder := json.NewDecoder(&out.Buffer)
	for range 3 {
		var r history.Request
		if err := decoder.Decode(&r); err != nil {
			t.Fatal(err)
		}
		if r.ID.String() <= last || r.Status != 201 {
			t.Errorf("%s %d after %s", r.ID, r.Status, last)
		}
		last = r.ID.String()
	}
	if decoder.More() {
		t.Error("a request was shown twice")
	}
}

// both writes to two.
type both struct{ first, second *watcher }

func (b both) Write(line []byte) (int, error) {
	if _, err := b.first.Write(line); err != nil {
		return 0, err
	}
	return b.second.Write(line)
}

// A request is shown with what is wrong about it, and what that is seen from.
func TestARequestIsShownWithItsDiagnosis(t *testing.T) {
	var out strings.Builder
	r := history.Request{Method: "POST", Path: "/t/ringling/scim/v2/Users", Status: 201,
		Diagnoses: []string{"name-mixes-scripts"}, Evidence: []string{"Cyrillic U+0430"}}
	if err := writeRequest(&out, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"name-mixes-scripts: a name can pass for another", "Cyrillic U+0430"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not shown:\n%s", want, out.String())
		}
	}
}

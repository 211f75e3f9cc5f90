package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/localpg"
	"github.com/muster-id/muster/internal/store/storetest"
)

// What was acknowledged is there after kill -9 of the server process amid the
// writes, again and again.
func TestKilledServerLosesNothing(t *testing.T) {
	_, owner, database := storetest.Durable(t)
	c := openPush(t, owner, database)
	c.write(t, func() {
		old := c.server.Load()
		old.kill(t)
		c.server.Store(startProcess(t, database, ""))
	})
	c.verify(t)
}

// What was acknowledged is there after kill -9 of the database amid the writes,
// again and again; the server process finds back to it by itself.
func TestKilledDatabaseLosesNothing(t *testing.T) {
	cluster, owner, database := storetest.Durable(t)
	c := openPush(t, owner, database)
	c.write(t, func() { crash(t, cluster) })
	c.verify(t)
}

func crash(t *testing.T, cluster *localpg.Cluster) {
	t.Helper()
	if err := cluster.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A push is a directory that is pushed by many writers, and the journal of what
// was acknowledged to them. It is kept in this process, which nobody kills.
type push struct {
	*circus
	server atomic.Pointer[process]

	acknowledged atomic.Int64
	mu           sync.Mutex
	lives        []*life
	requests     []uuid.UUID // of acknowledged writes
}

// A life is what was acknowledged about one person, and the one step of which
// nobody knows.
type life struct {
	id      string
	known   standing
	unknown *standing
}

type standing struct {
	title                   string
	active, member, deleted bool
}

func openPush(t *testing.T, owner, database string) *push {
	c := &push{circus: newCircus(t, owner, database)}
	c.server.Store(startProcess(t, database, ""))
	c.processes = [2]*process{c.server.Load(), c.server.Load()}
	c.openGroup()
	return c
}

// write pushes people from eight writers, and calls fault amid it until there
// are enough acknowledged writes and faults.
func (c *push) write(t *testing.T, fault func()) {
	const writers, faults, writesBetween = 8, 4, 300
	done := make(chan struct{})
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
					c.live(w, n)
				}
			}
		})
	}
	for n := 1; n <= faults; n++ {
		c.await(t, int64(n*writesBetween))
		fault()
	}
	c.await(t, faults*writesBetween+100) // it goes on afterwards
	close(done)
	running.Wait()
}

// await waits until so many writes were acknowledged; the test's own time limit
// is the only one.
func (c *push) await(t *testing.T, writes int64) {
	t.Helper()
	for c.acknowledged.Load() < writes {
		if t.Context().Err() != nil {
			t.Fatalf("%d writes were acknowledged, not %d", c.acknowledged.Load(), writes)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// live leads one person through a life, until a step is not acknowledged.
func (c *push) live(writer, n int) {
	name := fmt.Sprintf("artist-%d-%d@ringling.example", writer, n)
	a := c.try("POST", "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q,"title":"0"}`, name))
	if a.status != http.StatusCreated {
		return // nobody knows its id
	}
	l := &life{id: a.field(c.T, "id"), known: standing{title: "0", active: true}}
	c.mu.Lock()
	c.lives = append(c.lives, l)
	c.mu.Unlock()
	user, group := "/Users/"+l.id, "/Groups/"+c.group
	ok := c.step(l, "PATCH", group, patchOf(`{"op":"add","path":"members","value":[{"value":"`+l.id+`"}]}`), func(s *standing) { s.member = true }) &&
		c.step(l, "PATCH", user, patchOf(`{"op":"replace","path":"title","value":"1"}`), func(s *standing) { s.title = "1" }) &&
		c.step(l, "PATCH", user, patchOf(`{"op":"replace","path":"title","value":"2"}`), func(s *standing) { s.title = "2" })
	switch {
	case !ok:
	case n%4 == 0:
		c.step(l, "PATCH", user, patchOf(`{"op":"replace","path":"active","value":false}`), func(s *standing) { s.active = false })
	case n%4 == 1:
		c.step(l, "DELETE", user, "", func(s *standing) { s.deleted = true })
	case n%4 == 2:
		c.step(l, "PATCH", group, patchOf(`{"op":"remove","path":"members[value eq \"`+l.id+`\"]"}`), func(s *standing) { s.member = false })
	}
}

// step does one thing to a person and writes down what was acknowledged.
func (c *push) step(l *life, method, path, body string, change func(*standing)) bool {
	next := l.known
	change(&next)
	a := c.try(method, path, body)
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.status/100 != 2 {
		l.unknown = &next
		return false
	}
	l.known = next
	return true
}

// try sends a request that may fail in any way that a fault can cause, and no other.
func (c *push) try(method, path, body string) answer {
	request, err := http.NewRequest(method, c.server.Load().url+"/t/ringling/scim/v2"+path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	request.Header.Set("Content-Type", "application/scim+json")
	a, err := exchange(c.client, request)
	switch {
	case err != nil || a.status == http.StatusServiceUnavailable:
		time.Sleep(10 * time.Millisecond) // as a client would, and far longer
	case a.status/100 == 2:
		c.acknowledged.Add(1)
		c.mu.Lock()
		c.requests = append(c.requests, uuid.MustParse(a.header.Get("X-Request-Id")))
		c.mu.Unlock()
	default:
		c.Errorf("%s %s: got %d: %s", method, path, a.status, a.body)
	}
	return a
}

// verify holds the journal against the database.
func (c *push) verify(t *testing.T) {
	conn := storetest.Look(t, c.owner, "ringling")
	unknown := 0
	for _, l := range c.lives {
		var got standing
		err := conn.QueryRow(t.Context(), `
			select coalesce(resource->>'title', ''), active, deleted_at is not null,
				exists (select from memberships m where m.member_user = u.id and m.group_id = $2)
			from users u where id = $1`, l.id, c.group).Scan(&got.title, &got.active, &got.deleted, &got.member)
		if err != nil {
			t.Errorf("%s: %v", l.id, err)
			continue
		}
		if l.unknown != nil {
			unknown++
		}
		if got != l.known && (l.unknown == nil || got != *l.unknown) {
			t.Errorf("%s is %+v; acknowledged was %+v, in doubt %+v", l.id, got, l.known, l.unknown)
		}
	}
	var logged int
	if err := conn.QueryRow(t.Context(), `select count(distinct request_id) from changes where request_id = any($1)`, c.requests).Scan(&logged); err != nil {
		t.Fatal(err)
	}
	if logged != len(c.requests) {
		t.Errorf("%d of %d acknowledged writes are in the log", logged, len(c.requests))
	}
	t.Logf("%d acknowledged writes, %d people, %d of them with a step in doubt", len(c.requests), len(c.lives), unknown)
	if len(c.requests) < 1000 || unknown == 0 {
		t.Error("at least 1,000 writes must be acknowledged and one be cut off: this run shows nothing")
	}
	storetest.Audit(t, c.owner, "ringling", storetest.Grants{Groups: map[string]string{"Artists": "timesheet.viewer"}})
}

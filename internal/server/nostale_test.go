package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// After the 2xx to a deactivation, a deletion or the removal from the group
// that gave the only role, nobody is let in by an answer that started later,
// whichever of two server processes gives it. And in the tenant's log, which
// follows the order of effects on one person, no sign-in is allowed between the
// moment a person is shut out and the moment they are let in again, nor is a
// session of theirs alive.
func TestNoStaleYes(t *testing.T) {
	c := openCircus(t)
	const rounds, most = 15, 200 // of each person
	var coverage coverage
	var wg sync.WaitGroup
	for i := range c.people {
		a := &artist{circus: c, coverage: &coverage, ref: c.people[i]}
		wg.Go(func() {
			a.hire()
			for n := range most {
				if n >= rounds && coverage.enough() {
					return
				}
				a.round(closings[(n+i)%len(closings)])
			}
		})
	}
	wg.Wait()
	coverage.report(t)
	c.checkLog()
}

// A coverage proves that answers were under way when something was
// acknowledged: without that the test would show nothing.
type coverage struct {
	mu            sync.Mutex
	closed        int // acknowledgements
	mints, checks int // under way at the acknowledgement that concerned them
	justBefore    int // allowed less than 50 ms before it
	refusedAfter  int // asked after it
}

const wanted = 100

func (c *coverage) enough() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mints >= wanted && c.checks >= wanted && c.justBefore > 0
}

func (c *coverage) add(acknowledged time.Time, asked []question) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed++
	for _, q := range asked {
		underWay := q.start.Before(acknowledged) && q.end.After(acknowledged)
		switch {
		case underWay && q.kind == "check":
			c.checks++
		case underWay:
			c.mints++
		case q.allowed && q.end.Before(acknowledged) && acknowledged.Sub(q.end) < 50*time.Millisecond:
			c.justBefore++
		case q.start.After(acknowledged):
			c.refusedAfter++
		}
	}
}

func (c *coverage) report(t *testing.T) {
	t.Logf("%d acknowledgements: %d mints and %d checks were under way at their own, %d were allowed in the 50 ms before, %d asked after",
		c.closed, c.mints, c.checks, c.justBefore, c.refusedAfter)
	if !c.enough() {
		t.Errorf("at least %d mints and %d checks must be under way at an acknowledgement and one be allowed just before: this run shows nothing", wanted, wanted)
	}
}

// A question is one request that may let a person in.
type question struct {
	kind       string // check, callback or token
	start, end time.Time
	allowed    bool
	answer     string
}

// An artist is one person's life: hired, shut out, let in again.
type artist struct {
	*circus
	coverage *coverage
	ref      string // at the identity provider
	id       string
	turn     int
}

// A closing shuts a person out, opening lets them in again.
type closing struct {
	name          string
	close, reopen func(a *artist)
	endsSessions  bool // a lost role ends no session: there is nothing to enter with
}

var closings = []closing{
	{"PATCH active", func(a *artist) { a.patchUser(`{"op":"replace","path":"active","value":false}`) },
		func(a *artist) { a.patchUser(`{"op":"replace","path":"active","value":true}`) }, true},
	{"leaving the group", func(a *artist) { a.patchGroup("remove") }, func(a *artist) { a.patchGroup("add") }, false},
	{"PATCH as Entra", func(a *artist) { a.patchUser(`{"op":"Replace","path":"active","value":"False"}`) },
		func(a *artist) { a.patchUser(`{"op":"Replace","path":"active","value":"True"}`) }, true},
	{"DELETE", func(a *artist) { a.scim("DELETE", "/Users/"+a.id, "", http.StatusNoContent) }, (*artist).hire, true},
	{"PATCH as Okta", func(a *artist) { a.patchUser(`{"op":"replace","value":{"active":false}}`) },
		func(a *artist) { a.patchUser(`{"op":"replace","value":{"active":true}}`) }, true},
}

// next takes the two processes in turn.
func (a *artist) next() string {
	a.turn++
	return a.processes[a.turn%2].url
}

func (a *artist) hire() {
	a.id = a.post("/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q,"externalId":%q,"active":true}`,
		a.ref, a.objectID(a.ref)))
	a.patchGroup("add")
}

func (a *artist) patchUser(operation string) {
	a.scim("PATCH", "/Users/"+a.id, patchOf(operation), http.StatusOK)
}

func (a *artist) patchGroup(op string) {
	a.scim("PATCH", "/Groups/"+a.group, patchOf(fmt.Sprintf(`{"op":%q,"path":"members","value":[{"value":%q}]}`, op, a.id)), http.StatusNoContent)
}

func patchOf(operation string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + operation + `]}`
}

// round shuts the person out while they are asked about from all sides, and
// asks again once that is acknowledged.
func (a *artist) round(by closing) {
	const beside, after = 3, 1
	var callbacks, codes []string
	for range beside + after {
		callbacks = append(callbacks, a.comeBack(a.ref))
		codes = append(codes, a.signIn(a.ref))
	}
	if before := a.check(a.next(), a.id); !before.allowed {
		a.Errorf("%s, before: %s", by.name, before.answer)
	}
	var asked asked
	var running sync.WaitGroup
	for i := range beside {
		one, other := a.next(), a.next()
		for _, ask := range []func() question{
			func() question { return a.callback(one, callbacks[i]) },
			func() question { return a.redeem(other, codes[i]) },
			func() question { return a.check(one, a.id) },
		} {
			running.Go(func() {
				time.Sleep(time.Duration(i) * 2 * time.Millisecond) // spread over the change's own time
				asked.add(ask())
			})
		}
	}
	by.close(a)
	acknowledged := time.Now()
	for _, q := range []question{
		a.check(a.processes[0].url, a.id), a.check(a.processes[1].url, a.id),
		a.callback(a.next(), callbacks[beside]), a.redeem(a.next(), codes[beside]),
	} {
		asked.add(q)
	}
	running.Wait()
	for _, q := range asked.all {
		if q.allowed && q.start.After(acknowledged) {
			a.Errorf("%s: a %s that began %v after the acknowledgement was allowed: %s", by.name, q.kind, q.start.Sub(acknowledged), q.answer)
		}
	}
	a.coverage.add(acknowledged, asked.all)
	if n := a.liveSessions(a.id); by.endsSessions && n > 0 {
		a.Errorf("%s: %d sessions outlive the acknowledgement", by.name, n)
	}
	by.reopen(a)
}

type asked struct {
	mu  sync.Mutex
	all []question
}

func (a *asked) add(q question) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, q)
}

// checkLog reads the tenant's log in the order of effects.
func (c *circus) checkLog() {
	type state struct{ exists, active, member bool }
	people := map[string]*state{}
	of := func(id string) *state {
		if people[id] == nil {
			people[id] = &state{}
		}
		return people[id]
	}
	allowed := 0
	rows := c.query(`select n, kind, subject::text, body from changes order by n`)
	defer rows.Close()
	for rows.Next() {
		var n int64
		var kind, subject, text string
		if err := rows.Scan(&n, &kind, &subject, &text); err != nil {
			c.Fatal(err)
		}
		var body struct {
			Active         *struct{ New *bool }
			Added, Removed []string
		}
		if kind == "user.updated" || kind == "group.members" {
			if err := json.Unmarshal([]byte(text), &body); err != nil {
				c.Fatalf("change %d, %s: %v: %s", n, kind, err, text)
			}
		}
		switch kind {
		case "user.created":
			*of(subject) = state{exists: true, active: true}
		case "user.updated":
			of(subject).active = *body.Active.New
		case "user.deleted":
			of(subject).exists = false
		case "group.members":
			for id, s := range people {
				s.member = s.member && !slices.Contains(body.Removed, id) || slices.Contains(body.Added, id)
			}
		case "sign_in.allowed":
			allowed++
			if s := of(subject); !s.exists || !s.active || !s.member {
				c.Errorf("change %d: %s is let in, who at that point %+v", n, subject, *s)
			}
		}
	}
	if err := rows.Err(); err != nil || allowed == 0 {
		c.Errorf("the log has %d allowed sign-ins: %v", allowed, err)
	}
}

func (c *circus) query(sql string, args ...any) pgx.Rows {
	c.Helper()
	rows, err := c.database.Query(c.Context(), sql, args...)
	if err != nil {
		c.Fatal(err)
	}
	return rows
}

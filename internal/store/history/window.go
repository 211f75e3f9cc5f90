package history

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/scim"
)

// MostRequests is how many requests are looked at, the newest of the time that
// is asked for.
const MostRequests = 20_000

// A Consultation says what the doctor is asked.
type Consultation struct {
	Since time.Time // requests of before are not looked at
	Now   time.Time // zero: the database's
}

// Diagnose says what is wrong, the newest first, and how many requests it
// looked at.
func (r *Reader) Diagnose(ctx context.Context, c Consultation) ([]Finding, int, error) {
	known, err := r.facts(ctx, c.Since)
	if err != nil {
		return nil, 0, err
	}
	w := &window{facts: known, alone: map[string][]hit{}}
	if !c.Now.IsZero() {
		w.now = c.Now
	}
	err = r.each(ctx, Query{Since: c.Since}, func(request *Request) bool {
		if of := w.connections[request.connection]; of != nil {
			w.look(read(request, of))
		}
		return true
	})
	if err == nil {
		err = r.details(ctx, w)
	}
	if err != nil {
		return nil, 0, err
	}
	return w.findings(), len(w.requests), nil
}

// diagnose gives one request its diagnoses.
func (r *Reader) diagnose(ctx context.Context, request *Request) error {
	known, err := r.known(ctx)
	if err != nil {
		return err
	}
	if of := known.connections[request.connection]; of != nil {
		read(request, of).diagnose()
	}
	return nil
}

// diagnose gives the request the diagnoses that it shows by itself.
func (rd *reading) diagnose() {
	for _, rule := range requestRules {
		evidence, found := rule.match(rd)
		if !found {
			continue
		}
		rd.Diagnoses = append(rd.Diagnoses, rule.id)
		if evidence != "" {
			rd.Evidence = append(rd.Evidence, evidence)
		}
	}
}

// A window is a time's requests, the newest first, and what is known besides.
type window struct {
	*facts
	requests []*reading
	alone    map[string][]hit // by diagnosis: what single requests show
}

// look makes the diagnoses that a request shows by itself, and keeps of it what
// the others need.
func (w *window) look(rd *reading) {
	for _, rule := range requestRules {
		if evidence, found := rule.match(rd); found {
			w.alone[rule.id] = append(w.alone[rule.id], of(rd, evidence))
		}
	}
	rd.forget()
	w.requests = append(w.requests, rd)
}

func (w *window) findings() []Finding {
	f := findings{byKey: map[findingKey]*Finding{}}
	for _, rule := range requestRules {
		f.add(rule.id, w.alone[rule.id]...)
	}
	for _, rule := range windowRules {
		f.add(rule.id, rule.find(w)...)
	}
	return f.sorted()
}

// subjects are the users who were deleted and the groups that were written.
func (w *window) subjects() (users, groups []uuid.UUID) {
	seen := map[uuid.UUID]bool{}
	for _, rd := range w.requests {
		if rd.Subject == nil || !rd.done() || seen[*rd.Subject] {
			continue
		}
		switch {
		case strings.EqualFold(rd.endpoint, "Users") && rd.Method == "DELETE" && len(users) < mostFacts:
			users = append(users, *rd.Subject)
		case strings.EqualFold(rd.endpoint, "Groups") && rd.Method != "GET" && len(groups) < mostFacts:
			groups = append(groups, *rd.Subject)
		default:
			continue
		}
		seen[*rd.Subject] = true
	}
	return users, groups
}

// windowRules are the diagnoses that take more than one request, or none.
var windowRules = []windowRule{
	{"active-not-mapped", activeNeverSent},
	{"account-enabled-mapped", deletedWhileActive},
	{"flag-half-applied", twoDialects},
	{"duplicate-user-name-loop", createdAgain("Users", "userName")},
	{"duplicate-group-name-loop", createdAgain("Groups", "displayName")},
	{"silent-three-cycles", silent},
	{"never-connected", neverConnected},
	{"token-expires-soon", expiresSoon},
	{"person-never-joined", refusedBecause("join_mismatch")},
	{"sign-in-not-provisioned", refusedBecause("not_provisioned")},
	{"external-id-shared", sharedExternalIDs},
	{"rule-group-renamed", renamedGroups},
	{"rule-group-missing", missingGroups},
	{"nested-groups-not-sent", emptyGroups},
	{"rule-fails", failingRules},
	{"rules-unreadable", unreadableRules},
}

// each calls do with every connection and its requests, the newest first.
func (w *window) each(do func(c *connection, requests []*reading)) {
	by := map[*connection][]*reading{}
	for _, rd := range w.requests {
		by[rd.connection] = append(by[rd.connection], rd)
	}
	for _, c := range w.ordered() {
		do(c, by[c])
	}
}

// ordered are the connections, the oldest first.
func (w *window) ordered() []*connection {
	var all []*connection
	for _, c := range w.connections {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *connection) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.Name, b.Name))
	})
	return all
}

// severalPeople is how many who were created without active make a habit.
const severalPeople = 3

// activeNeverSent: people are created, or by Entra deleted at once, and no
// request says whether anybody is active.
func activeNeverSent(w *window) []hit {
	var hits []hit
	w.each(func(c *connection, requests []*reading) {
		var created, deleted []hit
		for _, rd := range requests {
			switch {
			case rd.writes("Users") && rd.sends("active"):
				return
			case rd.creates("Users") && rd.body != nil:
				created = append(created, of(rd, rd.text("userName")+" was created without active"))
			case w.endedActive(rd):
				deleted = append(deleted, of(rd, "somebody was deleted while active"))
			}
		}
		if len(created) >= severalPeople || c.Kind == "entra" && len(deleted) > 0 && len(created) > 0 {
			hits = append(append(hits, created...), deleted...)
		}
	})
	return hits
}

// endedActive: the request deleted a user who was active.
func (w *window) endedActive(rd *reading) bool {
	return rd.Method == "DELETE" && rd.Status == 204 && strings.EqualFold(rd.endpoint, "Users") && rd.Subject != nil && w.deleted[*rd.Subject]
}

// deletedWhileActive: Entra deactivates whom it will delete, thirty days before,
// unless active is mapped to something that does not change at unassignment.
func deletedWhileActive(w *window) []hit {
	var hits []hit
	w.each(func(c *connection, requests []*reading) {
		mapped := slices.ContainsFunc(requests, func(rd *reading) bool { return rd.writes("Users") && rd.sends("active") })
		for _, rd := range requests {
			if c.Kind == "entra" && mapped && w.endedActive(rd) {
				hits = append(hits, of(rd, "somebody was deleted who was never deactivated before"))
			}
		}
	})
	return hits
}

func twoDialects(w *window) []hit {
	var hits []hit
	w.each(func(c *connection, requests []*reading) {
		var old, new *reading // the newest of either
		for _, rd := range requests {
			if rd.Method != "PATCH" || len(rd.sent) == 0 || rd.sent[0].op == "" {
				continue
			}
			if capital(rd.sent[0].op) {
				old = cmp.Or(old, rd)
			} else {
				new = cmp.Or(new, rd)
			}
		}
		if c.Kind == "entra" && old != nil && new != nil {
			hits = append(hits, of(old, "op "+old.sent[0].op), of(new, "op "+new.sent[0].op))
		}
	})
	return hits
}

// loop is how many refusals of the same name are no accident.
const loop = 3

func createdAgain(endpoint, attribute string) func(*window) []hit {
	return func(w *window) []hit {
		var hits []hit
		w.each(func(_ *connection, requests []*reading) {
			byName := map[string][]hit{}
			for _, rd := range requests {
				name := rd.text(attribute)
				if rd.Method == "POST" && rd.Status == 409 && strings.EqualFold(rd.endpoint, endpoint) && name != "" {
					key, _ := scim.Key(name)
					byName[key] = append(byName[key], of(rd, attribute+" "+name))
				}
			}
			for _, refused := range byName {
				if len(refused) >= loop {
					hits = append(hits, refused...)
				}
			}
		})
		return hits
	}
}

// cycle is how often Entra asks, whatever there is to do.
const cycle = 40 * time.Minute

func silent(w *window) []hit {
	var hits []hit
	w.each(func(c *connection, requests []*reading) {
		last := c.LastUse
		if len(requests) > 0 && (last == nil || requests[0].At.After(*last)) {
			last = &requests[0].At
		}
		if c.Kind == "entra" && c.Active && last != nil && w.now.Sub(*last) > 3*cycle {
			hits = append(hits, hit{connection: c, at: *last, evidence: "the last request came " + last.UTC().Format(time.RFC3339)})
		}
	})
	return hits
}

// patience is how long a new connection may be without a call.
const patience = 24 * time.Hour

func neverConnected(w *window) []hit {
	var hits []hit
	w.each(func(c *connection, requests []*reading) {
		if c.Active && len(c.tokens) > 0 && c.LastUse == nil && len(requests) == 0 && w.now.Sub(c.Created) > patience {
			hits = append(hits, hit{connection: c, at: c.Created, evidence: fmt.Sprintf("the connection is of %s", c.Created.UTC().Format(time.DateOnly))})
		}
	})
	return hits
}

// soon is how long before its end a token is worth a word.
const soon = 14 * 24 * time.Hour

func expiresSoon(w *window) []hit {
	var hits []hit
	for _, c := range w.ordered() {
		var last *token
		for i, t := range c.tokens {
			if t.Expires == nil || t.Expires.Sub(w.now) > soon {
				last = nil
				break
			}
			if last == nil || t.Expires.After(*last.Expires) {
				last = &c.tokens[i]
			}
		}
		if c.Active && last != nil {
			hits = append(hits, hit{connection: c, at: w.now, evidence: fmt.Sprintf("%s ends %s", last.Name, last.Expires.UTC().Format(time.RFC3339))})
		}
	}
	return hits
}

func refusedBecause(reason string) func(*window) []hit {
	return func(w *window) []hit {
		var hits []hit
		for _, r := range w.refusals {
			if r.reason == reason {
				hits = append(hits, hit{connection: w.connections[r.connection], at: r.at, evidence: "a sign-in was refused"})
			}
		}
		return hits
	}
}

func sharedExternalIDs(w *window) []hit {
	var hits []hit
	for _, s := range w.shared {
		hits = append(hits, hit{connection: w.connections[s.connection], at: w.now, evidence: fmt.Sprintf("%d people have externalId %q", s.people, s.externalID)})
	}
	for _, r := range w.refusals {
		if r.reason == "ambiguous_identity" {
			hits = append(hits, hit{connection: w.connections[r.connection], at: r.at, evidence: "a sign-in was refused"})
		}
	}
	return hits
}

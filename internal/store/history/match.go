package history

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/scim"
)

// An Explanation is an entry of an identity provider's log, and what came of it here.
type Explanation struct {
	Event    Event     `json:"event"`
	Meaning  string    `json:"meaning"`  // of the provider's own code; empty: it has none, or an unknown one
	Verdict  string    `json:"verdict"`  // what the requests come to
	Requests []Request `json:"requests"` // that belong to it, the oldest first, with their diagnoses
}

// around is how far the clocks of two sides may be apart, and how long an entry
// may be written after its request.
const around = 5 * time.Minute

// mostMatched is how many requests are shown for one entry.
const mostMatched = 10

// Explain finds the requests that belong to entries of an identity provider's log.
func (r *Reader) Explain(ctx context.Context, events []Event) ([]Explanation, error) {
	known, err := r.known(ctx)
	if err != nil {
		return nil, err
	}
	var explained []Explanation
	for _, e := range events {
		x, err := r.explain(ctx, known, e)
		if err != nil {
			return nil, err
		}
		explained = append(explained, x)
	}
	return explained, nil
}

func (r *Reader) explain(ctx context.Context, known *facts, e Event) (Explanation, error) {
	x := Explanation{Event: e, Meaning: e.meaning(), Requests: []Request{}}
	subjects, err := r.subjects(ctx, known, e.About)
	if err != nil {
		return x, err
	}
	var others []Request
	err = r.each(ctx, Query{Since: e.At.Add(-around), until: e.At.Add(around)}, func(request *Request) bool {
		if !request.isAbout(e.About, subjects) {
			return true
		}
		if of := known.connections[request.connection]; of != nil {
			read(request, of).diagnose()
		}
		if e.fits(request.Method) {
			x.Requests = append(x.Requests, *request)
		} else {
			others = append(others, *request)
		}
		return len(x.Requests) < mostMatched
	})
	if len(x.Requests) == 0 {
		x.Requests = append(x.Requests, others[:min(len(others), mostMatched)]...)
	}
	slices.Reverse(x.Requests)
	x.Verdict = x.verdict()
	return x, err
}

// subjects are the users and groups here that one of the names is of.
func (r *Reader) subjects(ctx context.Context, known *facts, names []string) ([]uuid.UUID, error) {
	var connections, found []uuid.UUID
	for id := range known.connections {
		connections = append(connections, id)
	}
	var keys []string
	for _, name := range names {
		if key, err := scim.Key(name); err == nil {
			keys = append(keys, key)
		}
	}
	err := r.kernel.Read(ctx, func(b *pgx.Batch) {
		b.Queue(`
			select id from users where tenant_id = $1 and connection_id = any($2) and user_name_key = any($3) and deleted_at is null
			union select id from users where tenant_id = $1 and connection_id = any($2) and external_id = any($4) and deleted_at is null
			union select id from groups where tenant_id = $1 and connection_id = any($2) and display_name_key = any($3) and deleted_at is null
			union select id from groups where tenant_id = $1 and connection_id = any($2) and external_id = any($4) and deleted_at is null
			limit 50`, r.kernel.Tenant, connections, keys, names).Query(func(rows pgx.Rows) (err error) {
			found, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
			return err
		})
	})
	return found, err
}

// isAbout reports whether the request is about one of the resources, or names one
// of the names.
func (r *Request) isAbout(names []string, subjects []uuid.UUID) bool {
	if r.Subject != nil && slices.Contains(subjects, *r.Subject) {
		return true
	}
	return slices.ContainsFunc(names, r.concerns)
}

// fits reports whether a method does what the event is about.
func (e Event) fits(method string) bool {
	action := strings.ToLower(e.Action)
	is := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(action, part) })
	}
	switch {
	case is("push_profile", "update", "disable", "deactivate", "reactivate", "membership", "password"):
		return method == "PATCH" || method == "PUT"
	case is("create", "user.push"):
		return method == "POST"
	case is("delete", "remove"):
		return method == "DELETE" || method == "PATCH"
	case is("verify_exists", "import"):
		return method == "GET"
	}
	return true
}

// verdict says what the requests come to.
func (x Explanation) verdict() string {
	refused := slices.IndexFunc(x.Requests, func(r Request) bool { return r.Status >= 400 })
	switch {
	case len(x.Requests) == 0 && strings.EqualFold(x.Event.Status, "skipped"):
		return "the identity provider decided to send nothing, and nothing came"
	case len(x.Requests) == 0:
		return "no request about it came in the five minutes around: it never arrived, by a wrong address, a token of another tenant, or something in between; or it has expired from this log"
	case refused >= 0:
		return "it was refused here: " + first(loose(x.Requests[refused].Detail), loose(x.Requests[refused].ScimType), "see the status")
	}
	return "it was done here"
}

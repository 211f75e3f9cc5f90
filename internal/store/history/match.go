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
	Meaning  string    `json:"meaning"`        // of the provider's own code; empty: it has none, or an unknown one
	Verdict  string    `json:"verdict"`        // what the requests come to
	Requests []Request `json:"requests"`       // that belong to it, the oldest first, with their diagnoses
	Weak     bool      `json:"weak,omitempty"` // the requests have the same display name, and nothing else in common with it

	other bool // the requests do something else than the event says
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
	x := Explanation{Event: e, Meaning: e.meaning()}
	subjects, err := r.subjects(ctx, known, e)
	if err != nil {
		return x, err
	}
	var found sightings
	err = r.each(ctx, Query{Since: e.At.Add(-around), until: e.At.Add(around)}, func(request *Request) bool {
		of := known.connections[request.connection]
		rd := read(request, of)
		like := rd.likeness(e, subjects)
		if like == unlike {
			return true
		}
		if of != nil {
			rd.diagnose()
		}
		return found.add(*request, like, e.fits(request.Method))
	})
	x.Requests, x.Weak, x.other = found.best()
	x.Verdict = x.verdict()
	return x, err
}

// sightings are requests that may belong to an event: by how sure that is, and by
// whether they do what it says.
type sightings [same + 1]struct{ fitting, others []Request }

// add keeps the newest few of each kind, and reports whether better ones may come.
func (s *sightings) add(r Request, like likeness, fits bool) bool {
	list := &s[like].others
	if fits {
		list = &s[like].fitting
	}
	if len(*list) < mostMatched {
		*list = append(*list, r)
	}
	return len(s[same].fitting) < mostMatched
}

// best are the requests that belong to the event most surely, the oldest first.
func (s *sightings) best() (best []Request, weak, other bool) {
	for _, like := range []likeness{same, namesake} {
		found := s[like]
		if best, other = found.fitting, false; len(best) == 0 {
			best, other = found.others, true
		}
		if len(best) > 0 {
			slices.Reverse(best)
			return best, like == namesake, other
		}
	}
	return []Request{}, false, false
}

// subjects are the users and groups here that the event may be about.
func (r *Reader) subjects(ctx context.Context, known *facts, e Event) (map[uuid.UUID]likeness, error) {
	var connections []uuid.UUID
	for id := range known.connections {
		connections = append(connections, id)
	}
	found := map[uuid.UUID]likeness{}
	err := r.kernel.Read(ctx, func(b *pgx.Batch) {
		b.Queue(`
			select id, true from users where tenant_id = $1 and connection_id = any($2) and user_name_key = any($3) and deleted_at is null
			union select id, true from users where tenant_id = $1 and connection_id = any($2) and external_id = any($4) and deleted_at is null
			union select user_id, true from user_values where tenant_id = $1 and connection_id = any($2) and attribute = 'emails.value' and value_key = any($3)
			union select id, true from groups where tenant_id = $1 and connection_id = any($2) and external_id = any($4) and deleted_at is null
			union select id, false from groups where tenant_id = $1 and connection_id = any($2) and display_name_key = any($5) and deleted_at is null
			limit 50`, r.kernel.Tenant, connections, keysOf(e.About), e.About, keysOf(e.Called)).Query(func(rows pgx.Rows) error {
			var id uuid.UUID
			var sure bool
			_, err := pgx.ForEachRow(rows, []any{&id, &sure}, func() error {
				found[id] = max(found[id], namesake)
				if sure {
					found[id] = same
				}
				return nil
			})
			return err
		})
	})
	return found, err
}

// keysOf are the keys of the names that have one.
func keysOf(names []string) []string {
	var keys []string
	for _, name := range names {
		if key, err := scim.Key(name); err == nil {
			keys = append(keys, key)
		}
	}
	return keys
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
	skipped := strings.EqualFold(x.Event.Status, "skipped")
	switch {
	case len(x.Requests) == 0 && skipped:
		return "the identity provider decided to send nothing, and nothing came"
	case len(x.Requests) == 0:
		return "no request about it came in the five minutes around: it never arrived, by a wrong address, a token of another tenant, or something in between; or it has expired from this log"
	case x.Weak:
		return "no request with an id, userName, e-mail address or externalId of it came in the five minutes around. What follows has the same display name only, a weak match: it may be about somebody else"
	case x.other && refused >= 0:
		return "no request that does it came in the five minutes around; of what came about it instead, one was refused: " + x.refusal(refused)
	case refused >= 0:
		return "it was refused here: " + x.refusal(refused)
	case skipped:
		return "the identity provider decided to send nothing; what follows came about it besides, and was done"
	case x.other:
		return "no request that does it came in the five minutes around; what follows came about it instead, and was done"
	case x.Event.failed():
		return "the identity provider says that it failed, but nothing about it was refused here: what follows was done. Look there for why, it may not have read the answer"
	}
	return "it was done here"
}

// refusal is why a request was refused.
func (x Explanation) refusal(i int) string {
	return first(loose(x.Requests[i].Detail), loose(x.Requests[i].ScimType), "see the status")
}

// failed reports whether the identity provider says so.
func (e Event) failed() bool { return strings.HasPrefix(strings.ToLower(e.Status), "fail") }

package history

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// A Request is one SCIM request as the provisioning log has it.
type Request struct {
	ID         uuid.UUID  `json:"id"`
	At         time.Time  `json:"at"`
	Connection string     `json:"connection"`
	Credential string     `json:"credential"`       // name of the token or OAuth client
	Client     bool       `json:"client,omitempty"` // it is a client, not a token
	Agent      string     `json:"agent,omitempty"`
	Method     string     `json:"method"`
	Path       string     `json:"path"`
	Query      string     `json:"query,omitempty"` // decoded; of unknown parameters the name alone
	Body       Body       `json:"body,omitempty"`  // without secrets, and bounded
	Notes      []Note     `json:"notes,omitempty"` // what was ignored or repaired
	Status     int        `json:"status"`
	ScimType   string     `json:"scim_type,omitempty"` // or, of a token request, OAuth's error
	Detail     string     `json:"detail,omitempty"`
	Found      *int       `json:"found,omitempty"`   // resources that a list holds in all
	Took       float64    `json:"took_ms,omitempty"` // milliseconds; of a write, until its commit was sent
	Subject    *uuid.UUID `json:"subject,omitempty"` // the user or group concerned
	Changes    []Change   `json:"changes,omitempty"` // only where they were asked for
	Diagnoses  []string   `json:"diagnoses,omitempty"`
	Evidence   []string   `json:"evidence,omitempty"` // of the diagnoses, in their order

	connection uuid.UUID
	notHeld    string // why the credential did not hold: revoked | expired | disabled | suspended
}

// Holder is who made the request: "token main", "client entra".
func (r *Request) Holder() string {
	if r.Client {
		return "client " + r.Credential
	}
	return "token " + r.Credential
}

// Body is a request's body. What is JSON is shown as JSON.
type Body string

// MarshalJSON writes b as it is, or as a string where it is not JSON.
func (b Body) MarshalJSON() ([]byte, error) {
	if json.Valid([]byte(b)) {
		return []byte(b), nil
	}
	return json.Marshal(string(b))
}

// A Note is one thing that lenience ignored or repaired.
type Note struct {
	Quirk  string `json:"quirk"` // the number of the customary deviation: "Q46"
	Path   string `json:"path,omitempty"`
	Reason string `json:"reason"`
}

// A Change is what a request changed, from the tenant's log.
type Change struct {
	Kind    string          `json:"kind"` // user.created, group.members, …
	Subject uuid.UUID       `json:"subject"`
	Body    json.RawMessage `json:"body,omitempty"`  // emptied when the person was erased
	Roles   json.RawMessage `json:"roles,omitempty"` // by person: gained and lost
}

// A Query says which requests are wanted, the newest first.
type Query struct {
	Since  time.Time // zero: all that are kept
	User   string    // an id, or a text that stands in the address or the body, in any letter case
	Of     uuid.UUID // who else User is: requests about this resource are wanted too; uuid.Nil: none
	Status string    // "409", "4xx"; empty: all
	Limit  int

	until  time.Time // zero: now
	before uuid.UUID // of the requests of before this one
}

// page is how many rows are read at once.
const page = 1000

// Requests lists what the tenant's clients asked, the newest first. Of a query
// that few requests fit it looks at the newest [MostRequests].
func (r *Reader) Requests(ctx context.Context, q Query) ([]Request, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	found := []Request{}
	err := r.each(ctx, q, func(request *Request) bool {
		if q.fits(request) {
			found = append(found, *request)
		}
		return len(found) < q.Limit
	})
	return found, err
}

// each calls do for the newest requests until it says false or [MostRequests]
// were looked at.
func (r *Reader) each(ctx context.Context, q Query, do func(*Request) bool) error {
	if q.before = uuid.Max; !q.until.IsZero() {
		q.before = IDAt(q.until)
	}
	for range MostRequests / page {
		rows, err := r.rows(ctx, q)
		if err != nil {
			return err
		}
		for i := range rows {
			if !do(&rows[i]) {
				return nil
			}
		}
		if len(rows) < page {
			return nil
		}
		q.before = rows[len(rows)-1].ID
	}
	return nil
}

// IDAt is the lowest id that a request of that time may have: ids are UUIDv7.
func IDAt(at time.Time) uuid.UUID {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(max(at.UnixMilli(), 0))<<16)
	return id
}

func (r *Reader) rows(ctx context.Context, q Query) ([]Request, error) {
	var found []Request
	err := r.kernel.Read(ctx, func(b *pgx.Batch) {
		b.Queue(`
			select `+requestColumns+`
			where r.tenant_id = $1 and r.id < $2 and r.at >= $3 and ($4::uuid is null or r.connection_id = $4) and r.credential_id is not null
			order by r.id desc limit $5`, r.kernel.Tenant, q.before, q.Since, r.kernel.Connection, page).
			Query(func(rows pgx.Rows) (err error) {
				found, err = pgx.CollectRows(rows, scanRequest)
				return err
			})
	})
	return found, err
}

// requestColumns are what is read of a request. One that no credential made is a
// command's, and not asked for.
const requestColumns = `r.id, r.at, r.connection_id, c.name, coalesce(k.name, l.name, ''), k.id is null and l.id is not null, r.method, r.path, coalesce(r.query, ''), coalesce(r.agent, ''),
		coalesce(r.body, ''), coalesce(r.status, 0), coalesce(r.scim_type, ''), coalesce(r.detail, ''), r.found, coalesce(r.micros, 0), r.subject, r.notes,
		case when k.revoked_at <= r.at or l.revoked_at <= r.at then 'revoked' when k.expires_at <= r.at then 'expired'
			when c.state <> 'active' then 'disabled' when t.state <> 'active' then 'suspended' else '' end
	from provisioning_requests r
	join tenants t on t.id = r.tenant_id
	join connections c on c.tenant_id = r.tenant_id and c.id = r.connection_id
	left join credentials k on k.tenant_id = r.tenant_id and k.id = r.credential_id
	left join clients l on l.tenant_id = r.tenant_id and l.id = r.credential_id`

func scanRequest(row pgx.CollectableRow) (Request, error) {
	var r Request
	var body string
	var notes *string
	var micros int64
	err := row.Scan(&r.ID, &r.At, &r.connection, &r.Connection, &r.Credential, &r.Client, &r.Method, &r.Path, &r.Query, &r.Agent,
		&body, &r.Status, &r.ScimType, &r.Detail, &r.Found, &micros, &r.Subject, &notes, &r.notHeld)
	if err != nil {
		return Request{}, err
	}
	r.Body, r.Took = Body(body), float64(micros)/1000
	if notes != nil {
		if err := json.Unmarshal([]byte(*notes), &r.Notes); err != nil {
			return Request{}, fmt.Errorf("the notes of request %s: %w", r.ID, err)
		}
	}
	if r.Status < 400 {
		r.notHeld = ""
	}
	return r, nil
}

// Request reads one request with what it changed and its diagnoses.
func (r *Reader) Request(ctx context.Context, id uuid.UUID) (Request, error) {
	var found []Request
	var changes []Change
	err := r.kernel.Read(ctx, func(b *pgx.Batch) {
		b.Queue(`
			select `+requestColumns+`
			where r.tenant_id = $1 and r.id = $2 and ($3::uuid is null or r.connection_id = $3) and r.credential_id is not null`, r.kernel.Tenant, id, r.kernel.Connection).
			Query(func(rows pgx.Rows) (err error) {
				found, err = pgx.CollectRows(rows, scanRequest)
				return err
			})
		b.Queue(`
			select kind, subject, coalesce(body, ''), coalesce(roles, '') from changes
			where tenant_id = $1 and request_id = $2
			and subject = (select subject from provisioning_requests where tenant_id = $1 and id = $2)
			and ($3::uuid is null or connection_id = $3)
			order by xid, n`, r.kernel.Tenant, id, r.kernel.Connection).
			Query(func(rows pgx.Rows) (err error) {
				changes, err = pgx.CollectRows(rows, scanChange)
				return err
			})
	})
	if err != nil {
		return Request{}, err
	}
	if len(found) == 0 {
		return Request{}, ErrNotFound
	}
	one := found[0]
	one.Changes = changes
	return one, r.diagnose(ctx, &one)
}

func scanChange(row pgx.CollectableRow) (Change, error) {
	var c Change
	var body, roles string
	err := row.Scan(&c.Kind, &c.Subject, &body, &roles)
	c.Body, c.Roles = raw(body), raw(roles)
	return c, err
}

func raw(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

// check refuses what cannot be looked for.
func (q *Query) check() error {
	if q.Limit <= 0 || q.Limit > MostRequests {
		return &ArgumentError{fmt.Sprintf("a limit is between 1 and %d", MostRequests)}
	}
	digits := strings.TrimRight(strings.ToLower(q.Status), "x")
	if q.Status != "" && (len(q.Status) != 3 || digits == "" || digits[0] < '1' || digits[0] > '5' || strings.Trim(digits, "0123456789") != "") {
		return &ArgumentError{fmt.Sprintf("status %q: use a number, 409, or a class of them, 4xx", q.Status)}
	}
	return nil
}

// fits reports whether a request is one of those that are wanted.
func (q *Query) fits(r *Request) bool {
	if q.Status != "" && !strings.HasPrefix(fmt.Sprint(r.Status), strings.TrimRight(strings.ToLower(q.Status), "x")) {
		return false
	}
	return q.User == "" || r.concerns(q.User) || q.Of != uuid.Nil && r.Subject != nil && *r.Subject == q.Of
}

// concerns reports whether the request names somebody: by the id it is about,
// or by a text in its address or body.
func (r *Request) concerns(who string) bool {
	who = strings.ToLower(who)
	if r.Subject != nil && r.Subject.String() == who {
		return true
	}
	for _, text := range []string{r.Path, r.Query, string(r.Body)} {
		if strings.Contains(strings.ToLower(text), who) {
			return true
		}
	}
	return false
}

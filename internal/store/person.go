package store

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/rolemap"
	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store/log"
)

// A person is one user row under lock, with every fact that its roles depend
// on. A change edits it in memory; save writes what became of it.
type person struct {
	id, connection uuid.UUID
	resource       scim.Resource
	stored         []byte // resource as it stands in the row, or will
	userNameKey    string
	externalID     string
	active, locked bool
	deleted        bool
	version        int64
	epoch          int64
	derived        *int64
	created        time.Time
	modified       time.Time

	groups []rolemap.Group
	refs   []GroupRef // the same, as answers show them
	held   []assignment

	before *person   // as it was locked
	now    time.Time // of the transaction
}

// An assignment is a role that a person holds, and why.
type assignment struct {
	Role    string `json:"role"`
	Scope   string `json:"scope,omitempty"`
	Rule    string `json:"rule"`
	RuleSet int64  `json:"rule_set"`
	Facts   string `json:"facts"` // JSON array
}

// personColumns are what scan reads, of the table alias u.
const personColumns = `u.id, u.connection_id, u.resource, u.user_name_key, coalesce(u.external_id, ''),
	u.active, u.locked, u.deleted_at is not null, u.version, u.epoch, u.derived, u.created_at, u.modified_at, now()`

// scan reads the row; the attributes stay as they are stored, for parse.
func (p *person) scan(row pgx.Row) error {
	return row.Scan(&p.id, &p.connection, &p.stored, &p.userNameKey, &p.externalID, &p.active, &p.locked, &p.deleted,
		&p.version, &p.epoch, &p.derived, &p.created, &p.modified, &p.now)
}

// parse reads the stored attributes by the tenant's schemas.
func (p *person) parse(rt *scim.ResourceType) (err error) {
	p.resource, err = scim.ParseStored(rt, p.stored)
	return err
}

// reads is scan and parse.
func (p *person) reads(rt *scim.ResourceType) func(pgx.Row) error {
	return func(row pgx.Row) error {
		if err := p.scan(row); err != nil {
			return err
		}
		return p.parse(rt)
	}
}

// join adds a group that the person is in.
func (p *person) join(g rolemap.Group, direct bool) {
	p.groups = append(p.groups, g)
	if id, err := uuid.Parse(g.ID); err == nil {
		p.refs = append(p.refs, GroupRef{ID: id, Display: g.DisplayName, Direct: direct})
	}
}

// hold remembers the person as it was locked, so that save knows what changed.
func (p *person) hold() {
	before := *p
	p.before = &before
}

// become replaces the person's attributes. Where next does not say whether the
// person is active, nothing changes about that (design §5, Lifecycle).
func (p *person) become(next scim.Resource) error {
	name, _ := next["userName"].(string)
	key, err := scim.Key(name)
	if err != nil || key == "" {
		return scim.BadValue("userName: a value is required")
	}
	if active, ok := next["active"].(bool); ok {
		p.active = active
	}
	if next["active"] != any(p.active) {
		next = maps.Clone(next)
		next["active"] = p.active
	}
	p.resource, p.userNameKey = next, key
	p.externalID, _ = next["externalId"].(string)
	return nil
}

// mayHold reports whether the person may hold roles at all.
func (p *person) mayHold() bool { return p.active && !p.locked && !p.deleted }

// renewed reports whether what was given to the person before counts no longer: they are
// shut out, come back, or must prove anew who they are.
func (p *person) renewed() bool {
	return p.before.mayHold() != p.mayHold() || p.externalID != p.before.externalID
}

// differences are what has changed of the person: the body of the change.
func (p *person) differences() ([]scim.Difference, error) {
	differences, err := scim.Differences(p.before.stored, p.stored)
	flag := func(name string, was, is bool) {
		told := slices.ContainsFunc(differences, func(d scim.Difference) bool { return d.Name == name })
		if was != is && !told {
			differences = append(differences, scim.Difference{Name: name, Old: strconv.FormatBool(was), New: strconv.FormatBool(is)})
		}
	}
	flag("active", p.before.active, p.active) // the column decides, should the text ever say otherwise
	flag("locked", p.before.locked, p.locked)
	flag("deleted", p.before.deleted, p.deleted)
	return differences, err
}

// searchedAnew reports whether filters read another document of the person than before.
// What has a column of its own they read there.
func searchedAnew(differences []scim.Difference) bool {
	return slices.ContainsFunc(differences, func(d scim.Difference) bool {
		return d.Name != "active" && d.Name != "locked" && d.Name != "deleted"
	})
}

// user is what doors see of the person.
func (p *person) user() User {
	return User{
		ID: p.id, Connection: p.connection, ExternalID: p.externalID, Created: p.created, Modified: p.modified,
		Version: p.version, JSON: p.stored, Locked: p.locked, Active: p.active, Deleted: p.deleted, Groups: p.refs,
	}
}

// emails are the keys under which e-mail filters find the person.
func emails(r scim.Resource) []string {
	var keys []string
	list, _ := r["emails"].([]any)
	for _, element := range list {
		email, _ := element.(map[string]any)
		value, _ := email["value"].(string)
		key, err := scim.Key(value)
		if err == nil && key != "" && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// claims are the unique values that the person holds: none once deleted.
func (p *person) claims(rt *scim.ResourceType) []scim.Claim {
	if p.deleted {
		return nil
	}
	return rt.Claims(p.resource)
}

// effect names the roles that differ between what was held and what is.
func effect(held, wanted []assignment) log.Effect {
	return log.Effect{Gained: without(wanted, held), Lost: without(held, wanted)}
}

// effects is the effect of a change to p alone.
func (p *person) effects(wanted []assignment) map[string]log.Effect {
	e := effect(p.held, wanted)
	if !e.Any() {
		return nil
	}
	return map[string]log.Effect{p.id.String(): e}
}

// without lists the roles of a that b does not have.
func without(a, b []assignment) []string {
	var names []string
	for _, x := range a {
		same := func(y assignment) bool { return y.Role == x.Role && y.Scope == x.Scope }
		if !slices.ContainsFunc(b, same) && !slices.Contains(names, x.named()) {
			names = append(names, x.named())
		}
	}
	return names
}

func (a assignment) named() string {
	if a.Scope == "" {
		return a.Role
	}
	return a.Role + "@" + a.Scope
}

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // values of our own types
	}
	return b
}

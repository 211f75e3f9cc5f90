package rolemap

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/scim"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
)

// Person is what rules are evaluated on.
type Person struct {
	ID     string
	User   scim.Resource // core attributes, and extensions under their URN
	Active bool          // an inactive person holds no role
	Groups []Group       // direct and through nesting; those of other connections than the set's are ignored
}

// Group is a group that a person is in.
type Group struct {
	ID, ExternalID, DisplayName string
	Connection                  string // the connection's name
}

// subject is one person on one day, as the rules of one program see them. It
// serves one goroutine.
type subject struct {
	user   map[string]any
	groups *membership
	tenant string
	today  any // a timestamp, or an error when the date cannot be read
}

var _ cel.Activation = (*subject)(nil)

func (p *Program) subject(person Person, today string) *subject {
	groups := newMembership(person.Groups, p.connections, p.keys)
	user := make(map[string]any, len(person.User)+3)
	maps.Copy(user, person.User)
	user["id"], user["active"], user["groups"] = person.ID, person.Active, groups
	s := &subject{user: user, groups: groups, tenant: p.tenant}
	if day, err := time.Parse(time.DateOnly, today); err == nil {
		s.today = types.Timestamp{Time: day}
	} else {
		s.today = types.NewErr("today is not a date: %q", clip(today))
	}
	return s
}

// ResolveName returns the value of one of the variables.
func (s *subject) ResolveName(name string) (any, bool) {
	switch name {
	case "user":
		return s.user, true
	case "groups":
		return s.groups, true
	case "tenant":
		return s.tenant, true
	case "today":
		return s.today, true
	}
	return nil, false
}

// Parent returns nil: no other variables lie behind these.
func (s *subject) Parent() cel.Activation { return nil }

// day returns today as it is written.
func (s *subject) day() string {
	if t, ok := s.today.(types.Timestamp); ok {
		return t.Format(time.DateOnly)
	}
	return ""
}

// attribute is a path below user, as facts and explanations read it.
type attribute struct {
	path   string // "user.enterprise.department"
	fields []*types.FieldType
}

// attributes resolves paths below user; the whole user is none.
func (r *record) attributes(paths []string) []attribute {
	var out []attribute
	for _, path := range paths {
		a, at := attribute{path: r.path + "." + path}, r
		for step := range strings.SplitSeq(path, ".") {
			if at == nil || at.fields[step] == nil {
				a.fields = nil
				break
			}
			a.fields = append(a.fields, at.fields[step])
			at = at.nested[step]
		}
		if a.fields != nil {
			out = append(out, a)
		}
	}
	return out
}

// text returns the attribute's value on one line; false when it has none.
func (a attribute) text(user map[string]any) (string, bool) {
	var value any = user
	for _, f := range a.fields {
		if !f.IsSet(value) {
			return "", false
		}
		var err error
		if value, err = f.GetFrom(value); err != nil {
			return "", false
		}
	}
	return show(value), true
}

// show prints a value on one line of at most 100 characters.
func show(value any) string {
	switch v := value.(type) {
	case string:
		return clip(strings.ToValidUTF8(v, "\uFFFD"))
	case types.Timestamp:
		return v.Format(time.RFC3339)
	case []any, map[string]any:
		text, err := json.Marshal(v)
		if err != nil {
			return "…"
		}
		return clip(string(text))
	}
	return clip(fmt.Sprint(value))
}

package rolemap

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/scim"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// membership is the groups of one person that count, and the value of the
// variable groups: a list of display names whose `in` is one look-up by
// [scim.Key]. What looks at it as a list sees it in the order of names, so that
// evaluation is deterministic.
type membership struct {
	groups   []Group
	byKey    map[string]int    // key of the display name → the first such group
	keys     map[string]string // keys of the names that the rules mention
	nameless bool              // some display name has no key: whom it names cannot be told

	// Made when a rule first looks at more than whether a name is there.
	inOrder []Group
	made    []any // user.groups
}

var _ traits.Lister = (*membership)(nil)

func newMembership(groups []Group, connections []string, keys map[string]string) *membership {
	m := &membership{groups: make([]Group, 0, len(groups)), byKey: make(map[string]int, len(groups)), keys: keys}
	for _, g := range groups {
		if slices.Contains(connections, g.Connection) {
			m.groups = append(m.groups, g)
		}
	}
	for i, g := range m.groups {
		key, err := scim.Key(g.DisplayName)
		if err != nil || key == "" {
			m.nameless = true
			continue
		}
		if j, dup := m.byKey[key]; !dup || compareGroups(g, m.groups[j]) < 0 {
			m.byKey[key] = i
		}
	}
	return m
}

func compareGroups(a, b Group) int {
	return cmp.Or(strings.Compare(a.DisplayName, b.DisplayName), strings.Compare(a.ID, b.ID), strings.Compare(a.Connection, b.Connection))
}

// sorted returns the groups in the order of names.
func (m *membership) sorted() []Group {
	if m.inOrder == nil {
		m.inOrder = slices.SortedFunc(slices.Values(m.groups), compareGroups)
	}
	return m.inOrder
}

// named returns the person's group of the given display name.
func (m *membership) named(name string) (Group, bool) {
	key, known := m.keys[name]
	if !known {
		var err error
		if key, err = scim.Key(name); err != nil {
			return Group{}, false
		}
	}
	i, ok := m.byKey[key]
	if !ok {
		return Group{}, false
	}
	return m.groups[i], true
}

// objects returns user.groups.
func (m *membership) objects() []any {
	if m.made == nil {
		m.made = make([]any, len(m.groups))
		for i, g := range m.sorted() {
			m.made[i] = map[string]any{"id": g.ID, "externalId": g.ExternalID, "displayName": g.DisplayName}
		}
	}
	return m.made
}

// Contains reports whether the person is in a group of that display name. A
// group whose name has no key makes "no" a "cannot tell".
func (m *membership) Contains(value ref.Val) ref.Val {
	name, ok := value.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(value)
	}
	if _, in := m.named(string(name)); in {
		return types.True
	}
	if m.nameless {
		return types.NewErr("a group of the person has an unreadable name")
	}
	return types.False
}

// Get returns the display name at an index.
func (m *membership) Get(index ref.Val) ref.Val {
	i, ok := index.(types.Int)
	if !ok {
		return types.MaybeNoSuchOverloadErr(index)
	}
	if i < 0 || int(i) >= len(m.groups) {
		return types.NewErr("index out of bounds: %d", int64(i))
	}
	return types.String(m.sorted()[i].DisplayName)
}

// Size returns how many groups there are.
func (m *membership) Size() ref.Val { return types.Int(len(m.groups)) }

// Iterator returns an iterator over the display names.
func (m *membership) Iterator() traits.Iterator { return m.list().Iterator() }

// Add returns the names followed by those of another list.
func (m *membership) Add(other ref.Val) ref.Val { return m.list().Add(other) }

// Equal compares the names as an ordinary list.
func (m *membership) Equal(other ref.Val) ref.Val { return m.list().Equal(other) }

// ConvertToType converts as an ordinary list.
func (m *membership) ConvertToType(t ref.Type) ref.Val { return m.list().ConvertToType(t) }

// ConvertToNative converts as an ordinary list.
func (m *membership) ConvertToNative(t reflect.Type) (any, error) { return m.list().ConvertToNative(t) }

// Type returns CEL's list type.
func (m *membership) Type() ref.Type { return types.ListType }

// Value returns the display names.
func (m *membership) Value() any { return m.names() }

func (m *membership) list() traits.Lister {
	return types.NewStringList(types.DefaultTypeAdapter, m.names())
}

func (m *membership) names() []string {
	names := make([]string, len(m.groups))
	for i, g := range m.sorted() {
		names[i] = g.DisplayName
	}
	return names
}

// String describes g in a cause: "group Finance (its id)".
func (g Group) String() string { return "group " + g.DisplayName + " (" + g.ID + ")" }

package rolemap

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/muster-id/muster/internal/scim"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// Names of the CEL types of the variable user and of user.groups's elements.
const (
	userTypeName  = "scim.User"
	groupTypeName = "scim.UserGroup"
)

// record is the CEL type of a complex value: what cel-go checks selections
// against, and what reads fields from the decoded tree, which stays as it is.
type record struct {
	name   string // of the type: "scim.User.name"
	path   string // as an author writes it: "user.name"
	fields map[string]*types.FieldType
	nested map[string]*record         // the fields that are records, or lists of them
	schema map[string]*scim.Attribute // the fields that are attributes
	shared []string                   // names that are no fields, because several extensions have them
}

var _ types.StructTypeDescriptor = (*record)(nil)

func newRecord(name, path string) *record {
	return &record{
		name:   name,
		path:   path,
		fields: map[string]*types.FieldType{},
		nested: map[string]*record{},
		schema: map[string]*scim.Attribute{},
	}
}

// absent is the error of an attribute, named as authors write it, that has no
// value: the expression "cannot tell".
type absent string

func (a absent) Error() string { return string(a) + " has no value" }

// vocabulary returns the type of user for a resource type, and every record
// type below it.
func vocabulary(rt *scim.ResourceType) (user *record, all []*record) {
	user = newRecord(userTypeName, "user")
	user.addAll(slices.DeleteFunc(slices.Clone(rt.Core.Attributes), func(a *scim.Attribute) bool { return a.Name == "groups" }), inTree)
	user.fields["id"] = scalarField(user, "id", types.StringType)
	user.fields["active"] = scalarField(user, "active", types.BoolType)
	user.addGroups()
	var custom []*scim.Schema
	for _, ext := range rt.Extensions {
		if ext.ID == scim.EnterpriseSchema {
			user.addContainer("enterprise", []*scim.Schema{ext})
		} else {
			custom = append(custom, ext)
		}
	}
	if len(custom) > 0 {
		user.addContainer("custom", custom)
	}
	return user, user.collect(nil)
}

func (r *record) collect(all []*record) []*record {
	all = append(all, r)
	for _, name := range slices.Sorted(maps.Keys(r.nested)) {
		all = r.nested[name].collect(all)
	}
	return all
}

// place finds the map that holds an attribute below the value that a field is
// selected from.
type place func(target any) map[string]any

func inTree(target any) map[string]any {
	m, _ := target.(map[string]any)
	return m
}

// inExtension reads an extension's attributes from the user itself, so that
// one custom record spans several extensions without copying.
func inExtension(urn string) place {
	return func(target any) map[string]any { return inTree(inTree(target)[urn]) }
}

func (r *record) addAll(attributes []*scim.Attribute, in place) {
	for _, a := range attributes {
		if a.Returned == scim.ReturnedNever || a.Mutability == scim.WriteOnly {
			continue
		}
		r.add(a, in)
	}
}

// add defines the field of attribute a.
func (r *record) add(a *scim.Attribute, in place) {
	celType := leafType(a.Type)
	if a.Type == scim.TypeComplex {
		sub := newRecord(r.name+"."+a.Name, r.path+"."+a.Name)
		sub.addAll(a.Sub, inTree)
		r.nested[a.Name] = sub
		celType = types.NewObjectType(sub.name)
	}
	if a.Multi {
		celType = types.NewListType(celType)
	}
	path := r.path + "." + a.Name
	r.schema[a.Name] = a
	r.fields[a.Name] = &types.FieldType{
		Type:    celType,
		IsSet:   func(target any) bool { return present(in(target)[a.Name]) },
		GetFrom: func(target any) (any, error) { return read(a, path, in(target)[a.Name]) },
	}
}

// addContainer defines user.enterprise or user.custom. The container reads as
// the user itself; its fields find their extension in there.
func (r *record) addContainer(name string, extensions []*scim.Schema) {
	c := newRecord(r.name+"."+name, r.path+"."+name)
	count := map[string]int{}
	for _, ext := range extensions {
		for _, a := range ext.Attributes {
			count[a.Name]++
		}
	}
	for _, ext := range extensions {
		only := slices.DeleteFunc(slices.Clone(ext.Attributes), func(a *scim.Attribute) bool { return count[a.Name] > 1 })
		c.addAll(only, inExtension(ext.ID))
	}
	for name, n := range count {
		if n > 1 {
			c.shared = append(c.shared, name)
		}
	}
	r.nested[name] = c
	r.fields[name] = &types.FieldType{
		Type: types.NewObjectType(c.name),
		IsSet: func(target any) bool {
			return slices.ContainsFunc(extensions, func(s *scim.Schema) bool { return present(inTree(target)[s.ID]) })
		},
		GetFrom: func(target any) (any, error) { return inTree(target), nil },
	}
}

// addGroups defines user.groups, which is always known: membership is rows,
// and no row is no group.
func (r *record) addGroups() {
	g := newRecord(groupTypeName, "user.groups")
	for _, name := range []string{"id", "externalId", "displayName"} {
		g.fields[name] = scalarField(g, name, types.StringType)
	}
	r.nested["groups"] = g
	r.fields["groups"] = &types.FieldType{
		Type:  types.NewListType(types.NewObjectType(g.name)),
		IsSet: func(any) bool { return true },
		GetFrom: func(target any) (any, error) {
			m, ok := inTree(target)["groups"].(*membership)
			if !ok {
				return nil, absent("user.groups")
			}
			return m.objects(), nil
		},
	}
}

// scalarField defines a field of r that no schema has.
func scalarField(r *record, name string, t *types.Type) *types.FieldType {
	var none error = absent(r.path + "." + name)
	return &types.FieldType{
		Type:  t,
		IsSet: func(target any) bool { return present(inTree(target)[name]) },
		GetFrom: func(target any) (any, error) {
			v := inTree(target)[name]
			if !present(v) {
				return nil, none
			}
			return v, nil
		},
	}
}

func leafType(t scim.Type) *types.Type {
	switch t {
	case scim.TypeBoolean:
		return types.BoolType
	case scim.TypeDecimal:
		return types.DoubleType
	case scim.TypeInteger:
		return types.IntType
	case scim.TypeDateTime:
		return types.TimestampType
	}
	return types.StringType
}

// present reports whether v is assigned (RFC 7643 §2.5; as `pr` in a filter).
func present(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case string:
		return v != ""
	case []any:
		return slices.ContainsFunc(v, present)
	case map[string]any:
		for _, sub := range v {
			if present(sub) {
				return true
			}
		}
		return false
	}
	return true
}

// read returns the value v of attribute a as CEL sees it. An absent complex
// value reads as one whose sub-attributes are all absent, so that
// has(user.name.familyName) is false and not an error.
func read(a *scim.Attribute, path string, v any) (any, error) {
	switch {
	case a.Type == scim.TypeComplex && !a.Multi && !present(v):
		return map[string]any{}, nil
	case !present(v):
		return nil, absent(path)
	case !a.Multi:
		return element(a.Type, path, v)
	}
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("%s holds no list", path)
	}
	out := make([]any, len(list))
	for i, e := range list {
		var err error
		if out[i], err = element(a.Type, path, e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// element returns one value of an attribute of type t. A value of another type
// is an error: it is never converted into something that might match.
func element(t scim.Type, path string, v any) (any, error) {
	ok := false
	switch x := v.(type) {
	case string:
		if t == scim.TypeDateTime {
			return instant(path, x)
		}
		ok = t == scim.TypeString || t == scim.TypeReference || t == scim.TypeBinary
	case bool:
		ok = t == scim.TypeBoolean
	case int64:
		if t == scim.TypeDecimal {
			return float64(x), nil
		}
		ok = t == scim.TypeInteger
	case scim.Decimal: // CEL has no wider type
		f, err := strconv.ParseFloat(string(x), 64)
		if t == scim.TypeDecimal && err == nil {
			return f, nil
		}
	case float64:
		ok = t == scim.TypeDecimal
	case map[string]any:
		ok = t == scim.TypeComplex
	}
	if !ok {
		return nil, fmt.Errorf("%s holds no %s", path, t)
	}
	return v, nil
}

func instant(path, s string) (any, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return nil, fmt.Errorf("%s holds no date", path)
	}
	return types.Timestamp{Time: t.UTC()}, nil
}

// What follows makes record a type that cel-go can register.

// TypeName returns the type's name in CEL.
func (r *record) TypeName() string { return r.name }

// HasTrait says that fields can be read and tested with has().
func (r *record) HasTrait(trait int) bool {
	return trait == traits.FieldTesterType || trait == traits.IndexerType
}

// ReflectType returns nil: no Go struct stands behind the type.
func (r *record) ReflectType() reflect.Type { return nil }

// FieldNames returns the names of all fields, sorted.
func (r *record) FieldNames() []string { return slices.Sorted(maps.Keys(r.fields)) }

// FindFieldType returns the type of a field and how it is read.
func (r *record) FindFieldType(name string) (*types.FieldType, bool) {
	f, ok := r.fields[name]
	return f, ok
}

// NewValue refuses: expressions make no people.
func (r *record) NewValue(types.Adapter, map[string]ref.Val) ref.Val {
	return types.NewErr("%s cannot be made in an expression", r.name)
}

// Adapt refuses: values are the decoded tree itself.
func (r *record) Adapt(types.Adapter, any) ref.Val {
	return types.NewErr("%s is not made from Go values", r.name)
}

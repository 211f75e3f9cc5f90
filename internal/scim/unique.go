package scim

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"strconv"
	"time"
)

// A Claim is a value that no other resource of a connection may have (RFC 7643
// §7, uniqueness).
type Claim struct {
	Type      string // among the resources of this type; "" for all: global
	Attribute string // path; of a global one the name, by which types share it
	Key       string // the same for values that are equal
}

// Claims returns what r holds that must be unique, of the attributes that a
// tenant has declared: distinct and in one order, so that those who claim the
// same never wait for one another in a circle. userName, the stock one, is not
// among them.
func (rt *ResourceType) Claims(r Resource) []Claim {
	claims := rt.claims(nil, rt.Core, r)
	for _, ext := range rt.Extensions {
		container, _ := r[ext.ID].(map[string]any)
		claims = rt.claims(claims, ext, container)
	}
	slices.SortFunc(claims, func(a, b Claim) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Attribute, b.Attribute), cmp.Compare(a.Key, b.Key))
	})
	return slices.Compact(claims)
}

func (rt *ResourceType) claims(claims []Claim, s *Schema, values map[string]any) []Claim {
	for _, u := range s.unique {
		claim := rt.claimOn(u)
		anyElement(values[u.attr.Name], func(e any) bool {
			if u.sub != nil {
				e = subValue(e, u.sub)
			}
			return anyElement(e, func(v any) bool {
				if claim.Key = uniqueKey(u.last(), v); claim.Key != "" {
					claims = append(claims, claim)
				}
				return false
			})
		})
	}
	return claims
}

// claimOn is a claim on values of u, without one.
func (rt *ResourceType) claimOn(u leaf) Claim {
	if u.last().Uniqueness == UniqueGlobal {
		return Claim{Attribute: u.name()}
	}
	return Claim{Type: rt.Name, Attribute: u.last().Path}
}

// Digest stands for the claimed value, whatever its length.
func (c Claim) Digest() [sha256.Size]byte { return sha256.Sum256([]byte(c.Key)) }

// Claim returns what a resource of type rt has claimed that f asks for: f is bound
// to rt, and is nothing but eq of an attribute that a tenant has declared unique.
func (f *Filter) Claim(rt *ResourceType) (Claim, bool) {
	a := f.Ref.Last()
	if f.Op != Eq || a == nil || !a.Declared || a.Uniqueness == UniqueNone {
		return Claim{}, false
	}
	claim := rt.claimOn(leaf{f.Ref.Attr, f.Ref.Sub})
	claim.Key = uniqueKey(a, f.Operand)
	return claim, claim.Key != ""
}

// leaf is an attribute of a schema, or one of its sub-attributes.
type leaf struct{ attr, sub *Attribute }

func (l leaf) last() *Attribute { return cmp.Or(l.sub, l.attr) }

func (l leaf) name() string {
	if l.sub != nil {
		return lowerASCII(l.attr.Name + "." + l.sub.Name)
	}
	return lowerASCII(l.attr.Name)
}

// uniqueKey returns the form in which values of a are told apart, "" for none.
func uniqueKey(a *Attribute, v any) string {
	switch v := v.(type) {
	case time.Time:
		return SearchTime(v)
	case string:
		if t, ok := parseDateTime(v); ok && a.Type == TypeDateTime {
			return SearchTime(t)
		}
		return compared(a, v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64, Decimal:
		d, _ := numberOf(v)
		return d.String()
	}
	return ""
}

// leaves returns the attributes and sub-attributes of s that fit.
func (s *Schema) leaves(fit func(*Attribute) bool) []leaf {
	var all []leaf
	for _, a := range s.Attributes {
		if fit(a) {
			all = append(all, leaf{attr: a})
		}
		for _, sub := range a.Sub {
			if fit(sub) {
				all = append(all, leaf{a, sub})
			}
		}
	}
	return all
}

package scim

import (
	"errors"
	"slices"
)

// Limits of one PATCH request.
const (
	// maxOperations bounds the operations on attributes, the names of a
	// path-less value counted one by one. A resource has some forty
	// attributes, and each operation may look at every element of one.
	maxOperations = 1_000
	// maxMemberOperations bounds Operations. Okta sends one operation for each
	// member it removes; neighbours are merged, so that they stay cheap.
	maxMemberOperations = 10_000
	// maxSchemas bounds `schemas`, which has one meaningful element.
	maxSchemas = 50
)

// Patch is what a PATCH request asks for, understood but not yet applied (RFC
// 7644 §3.5.2). It never changes, is safe for concurrent use, and may be
// applied again when a transaction is retried.
type Patch struct {
	resourceType string
	profile      Profile
	operations   []operation
	members      []MemberOp
	notes        noteList
}

// ParsePatch reads the body of a PATCH request: strict JSON without duplicate
// names, at most 10,000 operations (1,000 of them on attributes) that name at
// most 100,000 members. Every path is resolved and every value checked against
// the schemas of rt; what depends on the resource is left to [Patch.Apply].
//
// The strict profile takes RFC 7644 §3.5.2 by the letter. The lenient profile
// also understands what provisioning clients customarily send, and records
// each repair, and each attribute it ignores, as a [Note]. Errors are [*Error].
func ParsePatch(rt *ResourceType, body []byte, p Profile) (Patch, error) {
	message, err := readPatchBody(body)
	if err != nil {
		return Patch{}, err
	}
	r := patchReader{reader: reader{rt: rt, profile: p, patch: true}}
	if err := r.envelope(message); err != nil {
		return Patch{}, err
	}
	for i, raw := range message.operations {
		r.index = i
		if err := r.operation(raw); err != nil {
			return Patch{}, atOperation(i, err)
		}
	}
	return Patch{
		resourceType: rt.Name,
		profile:      p,
		operations:   r.operations,
		members:      r.members,
		notes:        r.notes,
	}, nil
}

// Apply returns r changed by every operation of p in order. On the first that
// fails it returns an [*Error] and no resource. r is never modified; the
// result shares with r and p what did not change, so that neither may be
// modified later. The notes are those of parsing and of applying.
//
// A group's members are not part of r: see [Patch.Members].
func (p Patch) Apply(rt *ResourceType, r Resource) (Resource, []Note, error) {
	if rt.Name != p.resourceType {
		return nil, nil, BadSyntax("a patch of a %s cannot change a %s", p.resourceType, rt.Name)
	}
	c := newChange(rt, p, r)
	for _, op := range p.operations {
		if err := c.apply(op); err != nil {
			return nil, nil, atOperation(op.index, err)
		}
	}
	if err := bounded(c.resource); err != nil {
		return nil, nil, err
	}
	if rt.declares {
		if err := requireAll(rt, c.resource); err != nil {
			return nil, nil, err
		}
	}
	return c.resource, c.notes.all(), nil
}

// Members returns what p does to a group's members, in order. Members are
// kept as rows, so that these are never applied to a [Resource].
func (p Patch) Members() []MemberOp { return slices.Clone(p.members) }

// ChangesAttributes reports whether p has operations besides those on members.
func (p Patch) ChangesAttributes() bool { return len(p.operations) > 0 }

// Repaired reports whether reading p ignored or repaired anything: whether
// [Patch.Apply] has notes of a patch without operations on attributes.
func (p Patch) Repaired() bool { return len(p.notes.kept) > 0 }

// atOperation adds to an error which element of Operations it is about.
func atOperation(i int, err error) error {
	var refused *Error
	if errors.As(err, &refused) {
		return refused.Prefix("Operations[%d]", i)
	}
	return err
}

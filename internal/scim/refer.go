package scim

import (
	"slices"
	"strings"
)

// owners are the attributes whose $ref is the address of a resource of the tenant, and
// the endpoints it may be of.
var owners = map[string][]string{
	"members": {"Users", "Groups"},
	"groups":  {"Groups"},
	"manager": {"Users"},
}

// Refer returns a copy of f in which addresses are ids: `members.$ref eq` and the like
// compare with the resource that the address leads to, as $ref is computed from value
// and stored nowhere; `meta.location` compares with the address as answers show it. Addresses are absolute or relative to base, the tenant's base URL
// without a slash at its end; with and without the version they are the same (RFC 7643
// §2.3.7, §2.4). One that leads elsewhere is nobody's.
func (f *Filter) Refer(base string) *Filter { return referrer{base: base}.filter(f) }

type referrer struct {
	base   string
	within string // the owner whose elements a filter in brackets is about
}

func (r referrer) filter(f *Filter) *Filter {
	switch f.Op {
	case And, Or:
		changed := *f
		changed.Terms = nil
		for _, term := range f.Terms {
			changed.Terms = append(changed.Terms, r.filter(term).termsOf(f.Op)...)
		}
		return &changed
	case Not:
		changed := *f
		changed.Terms = []*Filter{r.filter(f.Terms[0])}
		return &changed
	case Has:
		inner := referrer{base: r.base, within: owner(f.Path.Name)}
		changed := *f
		changed.Path.Filter = inner.filter(f.Path.Filter)
		return &changed
	}
	return r.comparison(f)
}

func (r referrer) comparison(f *Filter) *Filter {
	if _, found := cutSuffixFold(f.Path.Name, "meta.location"); found && f.Path.Filter == nil && (f.Op == Eq || f.Op == Ne) {
		return r.location(f)
	}
	prefix, named := cutSuffixFold(f.Path.Name, "$ref")
	of := r.within
	if named && of == "" {
		of = owner(strings.TrimSuffix(prefix, "."))
	}
	if !named || of == "" || f.Path.Filter != nil || f.Op > Ne {
		return f
	}
	byID := *f
	byID.Path.Name = prefix + "value"
	address, ok := f.Value.(string)
	if !ok {
		return &byID
	}
	endpoint, id := r.target(of, address)
	byID.Value = id
	switch {
	case of == "manager" && (f.Op != Eq || id == ""):
		return f
	case of == "manager": // whose $ref may be the client's own
		return &Filter{Op: Or, Terms: []*Filter{f, &byID}}
	case of == "groups" || id == "" || f.Op == Ne:
		return &byID
	}
	kind := &Filter{Op: Eq, Path: Path{Name: "type"}, Value: strings.TrimSuffix(endpoint, "s")}
	if r.within != "" {
		return &Filter{Op: And, Terms: []*Filter{&byID, kind}}
	}
	byID.Path.Name = "value"
	inner := &Filter{Op: And, Terms: []*Filter{&byID, kind}}
	return &Filter{Op: Has, Path: Path{Name: strings.TrimSuffix(prefix, "."), Filter: inner}}
}

// location compares meta.location with an address as answers show it.
func (r referrer) location(f *Filter) *Filter {
	changed := *f
	address, ok := f.Value.(string)
	if !ok {
		return f
	}
	for _, prefix := range r.prefixes() {
		if rest, ok := strings.CutPrefix(address, prefix); ok && strings.Count(rest, "/") == 1 {
			changed.Value = r.base + "/" + rest
			break
		}
	}
	return &changed
}

// prefixes are what an address may begin with that leads to a resource.
func (r referrer) prefixes() []string {
	return []string{r.base + "/", strings.TrimSuffix(r.base, "/v2") + "/", "../", ""}
}

// owner returns the owner that a name ends in, with or without a URN before it, or "".
func owner(name string) string {
	for of := range owners {
		if before, ok := cutSuffixFold(name, of); ok && (before == "" || strings.HasSuffix(before, ":") || strings.HasSuffix(before, ".")) {
			return of
		}
	}
	return ""
}

func cutSuffixFold(s, suffix string) (before string, found bool) {
	at := len(s) - len(suffix)
	if at < 0 || !strings.EqualFold(s[at:], suffix) {
		return s, false
	}
	return s[:at], true
}

// target returns where an address leads: "" and "" where it leads to no resource that
// of may refer to.
func (r referrer) target(of, address string) (endpoint, id string) {
	for _, prefix := range r.prefixes() {
		rest, ok := strings.CutPrefix(address, prefix)
		if !ok {
			continue
		}
		endpoint, id, ok = strings.Cut(rest, "/")
		if ok && slices.Contains(owners[of], endpoint) && !strings.Contains(id, "/") {
			return endpoint, id
		}
	}
	return "", ""
}

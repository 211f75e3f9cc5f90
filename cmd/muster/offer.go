package main

import (
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/scim"
)

// listed are the parts of a setting that holds several, with commas or spaces between
// them.
func listed(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// checkOffer refuses endpoints that cannot be left out, and sensitive attributes that
// nobody has: one with a slip in its name would be kept out of nothing. Which
// attributes a URN has is for the tenants to declare.
func (s *settings) checkOffer() error {
	for _, name := range listed(s.Without) {
		if !slices.Contains([]string{"bulk", "me"}, name) {
			return usagef("without %q: what can be left out is bulk and me", name)
		}
	}
	for _, name := range listed(s.Sensitive) {
		if !mayExist(name) {
			return usagef("sensitive attribute %q: neither users nor groups have it; name one as filters do, name.familyName, one of an extension with its URN, urn:example:hr:badge", name)
		}
	}
	return nil
}

func mayExist(attribute string) bool {
	for _, rt := range scim.ResourceTypes() {
		if _, err := rt.Resolve(attribute); err == nil {
			return true
		}
	}
	urn := strings.ToLower(attribute)
	return strings.HasPrefix(urn, "urn:") && !strings.HasPrefix(urn, "urn:ietf:params:scim:schemas:")
}

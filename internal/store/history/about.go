package history

import (
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// A likeness is how sure it is that a request is about whom an event is about.
type likeness int

const (
	unlike   likeness = iota
	namesake          // it has the same display name, which several people may have
	same              // an id, userName, e-mail address or externalId is the same
)

// likeness compares whom the request is about with whom the event is about; subjects
// are the users and groups here that the event names. What the request says of others,
// of a manager or of members, does not count.
func (rd *reading) likeness(e Event, subjects map[uuid.UUID]likeness) likeness {
	found := unlike
	names := append(rd.sought(), identityText{text: rd.id})
	if rd.Subject != nil {
		found = subjects[*rd.Subject]
		names = append(names, identityText{text: rd.Subject.String()})
	}
	for _, a := range rd.sent {
		names = append(names, a.identities()...)
	}
	for _, n := range names {
		switch {
		case !n.display && contains(e.About, n.text):
			return same
		case n.display && contains(e.Called, n.text):
			found = max(found, namesake)
		}
	}
	return found
}

// contains compares without letter case: userName, e-mail addresses and UUIDs have none.
func contains(names []string, text string) bool {
	return text != "" && slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, text) })
}

// An identityText is what a request says of whom it is about.
type identityText struct {
	text    string
	display bool // a display name, which is nobody's own
}

// identifying are the attributes by which a resource is known, and whether that is
// only what it is called.
var identifying = map[string]bool{
	"id": false, "username": false, "externalid": false, "emails": false, "emails.value": false,
	"displayname": true, "name.formatted": true,
}

// comparison is one comparison of a filter with a text, its attribute without filters
// in brackets.
var comparison = regexp.MustCompile(`(?i)([a-z0-9_:.]+)(?:\[[^\]]*\](\.[a-z]+)?)?\s+eq\s+"([^"\\]*)"`)

// sought are the identities that the request's filter compares with.
func (rd *reading) sought() []identityText {
	var texts []identityText
	for _, found := range comparison.FindAllStringSubmatch(rd.Query, -1) {
		if display, identifies := identifying[plain(found[1]+found[2])]; identifies {
			texts = append(texts, identityText{found[3], display})
		}
	}
	return texts
}

// identities are the texts that are sent for an attribute, where it is one by which
// the resource is known.
func (a attribute) identities() []identityText {
	path, rest, _ := strings.Cut(a.path, "[")
	_, sub, _ := strings.Cut(rest, "]")
	display, identifies := identifying[plain(path+sub)]
	if name, isObject := a.value.(map[string]any); isObject && plain(a.path) == "name" {
		display, identifies = true, true
		a.value = fold(name, "formatted")
	}
	if !identifies {
		return nil
	}
	var texts []identityText
	for _, text := range valuesOf(a.value) {
		texts = append(texts, identityText{text, display})
	}
	return texts
}

// plain is an attribute's name without letter case and the core schema's URN.
func plain(path string) string {
	path = strings.ToLower(path)
	for _, urn := range []string{"urn:ietf:params:scim:schemas:core:2.0:user:", "urn:ietf:params:scim:schemas:core:2.0:group:"} {
		path = strings.TrimPrefix(path, urn)
	}
	return path
}

// valuesOf are a text, or the values of an attribute that has several.
func valuesOf(value any) []string {
	switch value := value.(type) {
	case string:
		return []string{value}
	case map[string]any:
		text, _ := fold(value, "value").(string)
		return []string{text}
	case []any:
		var texts []string
		for _, element := range value {
			if _, nested := element.([]any); !nested {
				texts = append(texts, valuesOf(element)...)
			}
		}
		return texts
	}
	return nil
}

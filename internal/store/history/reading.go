package history

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/google/uuid"
)

// A reading is a request as diagnoses look at it: its address and body taken
// apart once.
type reading struct {
	*Request
	connection *connection
	endpoint   string // "Users", "Groups", …; empty: none of a tenant's endpoints
	id         string // of the resource, as the client wrote it
	body       map[string]any
	sent       []attribute
}

// An attribute is one thing that a body gives a value, be it a member of a
// resource, an operation, or a member of an operation's value.
type attribute struct {
	op    string // as the client wrote it; empty: not an operation
	path  string
	value any
}

// base is where the endpoints of a tenant stand, after its slug.
const base = "/scim/v2"

// belowBase is the part of a path behind a tenant's base, which may lack the version
// (RFC 7644 §3.13), or the tenant. Another version is not found.
func belowBase(path string) (rest string, found bool) {
	if ofTenant, yes := strings.CutPrefix(path, "/t/"); yes {
		_, path, _ = strings.Cut(ofTenant, "/")
		path = "/" + path
	}
	if rest, found = strings.CutPrefix(path, base); found {
		return rest, true
	}
	rest, found = strings.CutPrefix(path, "/scim/")
	return rest, found && !otherVersion.MatchString(rest)
}

var otherVersion = regexp.MustCompile(`^/*[vV][0-9]`)

func read(r *Request, c *connection) *reading {
	rd := &reading{Request: r, connection: c}
	if rest, found := belowBase(r.Path); found {
		parts := strings.FieldsFunc(rest, func(c rune) bool { return c == '/' })
		if len(parts) > 0 {
			rd.endpoint = parts[0]
		}
		if len(parts) > 1 {
			rd.id = parts[1]
		}
	}
	if r.Body != "" && json.Unmarshal([]byte(r.Body), &rd.body) == nil {
		rd.sent = rd.attributes()
	}
	return rd
}

func (rd *reading) attributes() []attribute {
	operations, isPatch := rd.member("Operations").([]any)
	if rd.Method != "PATCH" || !isPatch {
		return members("", rd.body)
	}
	var sent []attribute
	for _, element := range operations {
		operation, _ := element.(map[string]any)
		op, _ := fold(operation, "op").(string)
		path, _ := fold(operation, "path").(string)
		value := fold(operation, "value")
		if object, ok := value.(map[string]any); ok && path == "" {
			sent = append(sent, members(op, object)...)
			continue
		}
		sent = append(sent, attribute{op, path, value})
	}
	return sent
}

// members are the attributes of an object; those of an extension come beside it.
func members(op string, object map[string]any) []attribute {
	var sent []attribute
	for name, value := range object {
		sent = append(sent, attribute{op, name, value})
		if extension, ok := value.(map[string]any); ok && strings.HasPrefix(strings.ToLower(name), "urn:") {
			for sub, value := range extension {
				sent = append(sent, attribute{op, name + ":" + sub, value})
			}
		}
	}
	return sent
}

// forget lets go of what was sent, but for what is asked of many requests: which
// attributes, by which operations, and the name of what is created.
func (rd *reading) forget() {
	kept := map[string]any{}
	for _, name := range []string{"userName", "displayName"} {
		if text := rd.text(name); text != "" {
			kept[name] = strings.Clone(text)
		}
	}
	if rd.body != nil {
		rd.body = kept
	}
	for i, a := range rd.sent {
		rd.sent[i] = attribute{op: strings.Clone(a.op), path: strings.Clone(a.path)}
	}
	rd.Body, rd.Notes = "", nil
}

// fold is an object's member, its name in any letter case.
func fold(object map[string]any, name string) any {
	if value, ok := object[name]; ok {
		return value
	}
	for key, value := range object {
		if strings.EqualFold(key, name) {
			return value
		}
	}
	return nil
}

// member is a member of the body at its top, in any letter case.
func (rd *reading) member(name string) any { return fold(rd.body, name) }

// text is a member of the body that is a string.
func (rd *reading) text(name string) string {
	s, _ := rd.member(name).(string)
	return s
}

// named are the attributes sent under a name, by whatever path.
func (rd *reading) named(name string) []attribute {
	var found []attribute
	for _, a := range rd.sent {
		if strings.EqualFold(a.name(), name) {
			found = append(found, a)
		}
	}
	return found
}

func (rd *reading) sends(name string) bool { return len(rd.named(name)) > 0 }

// value is the string that is sent for an attribute, or "".
func (rd *reading) value(name string) string {
	for _, a := range rd.named(name) {
		if s, ok := a.value.(string); ok {
			return s
		}
	}
	return ""
}

// name is the attribute that a path is of: the last part of its name, without
// filter and sub-attribute "value".
func (a attribute) name() string {
	path := a.path
	if before, _, filtered := strings.Cut(path, "["); filtered {
		path = before
	}
	path = strings.TrimSuffix(path, ".value")
	return path[strings.LastIndexAny(path, ":.")+1:]
}

// writes reports whether the request is to create or change a resource there.
func (rd *reading) writes(endpoint string) bool {
	return strings.EqualFold(rd.endpoint, endpoint) && (rd.Method == "POST" || rd.Method == "PUT" || rd.Method == "PATCH")
}

// creates reports whether the request created a resource there.
func (rd *reading) creates(endpoint string) bool {
	return rd.Method == "POST" && rd.Status == 201 && strings.EqualFold(rd.endpoint, endpoint)
}

func (rd *reading) done() bool { return rd.Status >= 200 && rd.Status < 300 }

// notes are the notes of a quirk, "Q60".
func (rd *reading) notes(quirks ...string) []Note {
	var found []Note
	for _, n := range rd.Notes {
		for _, quirk := range quirks {
			if n.Quirk == quirk {
				found = append(found, n)
			}
		}
	}
	return found
}

// asksForToken reports whether an OAuth client asked for an access token.
func (rd *reading) asksForToken() bool { return strings.HasSuffix(rd.Path, "/oauth/token") }

// slug is the tenant that the request's address names.
func (rd *reading) slug() string {
	parts := strings.Split(rd.Path, "/")
	if len(parts) > 2 && parts[1] == "t" {
		return parts[2]
	}
	return ""
}

// last is the last part of the path.
func (rd *reading) last() string {
	path := strings.TrimRight(rd.Path, "/")
	return path[strings.LastIndexByte(path, '/')+1:]
}

func isUUID(s string) bool {
	_, err := uuid.Parse(s)
	return err == nil && len(s) == 36
}

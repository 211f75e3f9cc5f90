package idpsim

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

const (
	contentType      = "application/scim+json; charset=utf-8"
	userSchema       = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupSchema      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	enterpriseSchema = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	patchSchema      = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
)

// dialect is how a persona writes its requests. The methods are pure.
type dialect interface {
	header(token string) http.Header
	// probes are sent when an admin presses "Test Connection".
	probes() []call
	findUser(p Person) call
	createUser(p Person, manager Person) call
	// changeUser returns the calls that make what the service provider holds like p.
	changeUser(held heldUser, p Person, manager Person) []call
	setActive(id string, active bool) call
	// setManager returns the calls that name a manager by the service provider's id.
	setManager(id, managerID string) []call
	findGroup(g Group) call
	createGroup(g Group) call
	renameGroup(id, name string) call
	addMembers(group heldGroup, members []member) []call
	removeMember(group heldGroup, gone member) []call
	// pushMembers makes the group's members exactly these.
	pushMembers(group heldGroup, members []member) []call
	// memberBatch is how many members one request adds.
	memberBatch() int
}

// heldUser is a user as the service provider returns it.
type heldUser struct {
	ID          string     `json:"id"`
	ExternalID  string     `json:"externalId"`
	UserName    string     `json:"userName"`
	DisplayName string     `json:"displayName"`
	Title       string     `json:"title"`
	Active      *bool      `json:"active"`
	Name        name       `json:"name"`
	Emails      []element  `json:"emails"`
	Phones      []element  `json:"phoneNumbers"`
	Enterprise  enterprise `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`

	raw map[string]any // all of it, to be put back
}

// UnmarshalJSON keeps the whole object beside the attributes that are read.
func (u *heldUser) UnmarshalJSON(text []byte) error {
	type plain heldUser
	if err := json.Unmarshal(text, (*plain)(u)); err != nil {
		return err
	}
	return json.Unmarshal(text, &u.raw)
}

// active reports the state of the user; a service provider that says nothing means yes.
func (u heldUser) active() bool { return u.Active == nil || *u.Active }

func (u heldUser) email() string { return ofType(u.Emails, "work") }
func (u heldUser) phone() string { return ofType(u.Phones, "work") }

func ofType(elements []element, kind string) string {
	for _, e := range elements {
		if strings.EqualFold(e.Type, kind) {
			return e.Value
		}
	}
	return ""
}

// heldGroup is what is remembered of a group at the service provider.
type heldGroup struct {
	ID          string `json:"id"`
	DisplayName string `json:"displayName"`
}

// member is a user by the service provider's id.
type member struct{ id, display string }

type name struct {
	Formatted string `json:"formatted,omitempty"`
	Family    string `json:"familyName,omitempty"`
	Given     string `json:"givenName,omitempty"`
}

type element struct {
	Primary bool   `json:"primary,omitempty"`
	Type    string `json:"type,omitempty"`
	Value   string `json:"value"`
}

type enterprise struct {
	Number     string   `json:"employeeNumber,omitempty"`
	Department string   `json:"department,omitempty"`
	Manager    *manager `json:"manager,omitempty"`
}

type manager struct {
	Value       string `json:"value,omitempty"`
	DisplayName string `json:"displayName,omitempty"`
}

// list is a ListResponse (RFC 7644 §3.4.2).
type list[T any] struct {
	TotalResults int `json:"totalResults"`
	StartIndex   int `json:"startIndex"`
	ItemsPerPage int `json:"itemsPerPage"`
	Resources    []T `json:"Resources"`
}

type patchBody struct {
	Schemas    []string    `json:"schemas"`
	Operations []operation `json:"Operations"`
}

type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path,omitempty"`
	Value any    `json:"value,omitempty"`
}

func patch(path string, operations ...operation) call {
	return call{http.MethodPatch, path, patchBody{[]string{patchSchema}, operations}}
}

func userPath(id string) string  { return "/Users/" + url.PathEscape(id) }
func groupPath(id string) string { return "/Groups/" + url.PathEscape(id) }

// equals is a filter as IdPs write it.
func equals(attribute, value string) string {
	return attribute + ` eq "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}

// percent encodes a query value with %20 for a space; plus leaves the space a "+". Both
// occur in the wild.
func percent(text string) string { return strings.ReplaceAll(plus(text), "+", "%20") }
func plus(text string) string    { return url.QueryEscape(text) }

// workElements returns the value as the primary one of type work; nothing for "".
func workElements(value string) []element {
	if value == "" {
		return nil
	}
	return []element{{Primary: true, Type: "work", Value: value}}
}

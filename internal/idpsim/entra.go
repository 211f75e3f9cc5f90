package idpsim

import (
	"net/http"
	"strings"

	"github.com/google/uuid"
)

// adGroupSchema is a schema that Entra names in groups and that no RFC knows.
const adGroupSchema = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"

// entra writes requests as Microsoft Entra ID does, in the dialect of its
// aadOptscim062020 flag if that is set.
type entra struct {
	flag    bool
	mapping string
}

// entraUser is the body of a POST, in Entra's order.
type entraUser struct {
	Schemas     []string   `json:"schemas"`
	ExternalID  string     `json:"externalId"`
	UserName    string     `json:"userName"`
	Active      bool       `json:"active"`
	DisplayName string     `json:"displayName"`
	Emails      []element  `json:"emails,omitempty"`
	Meta        meta       `json:"meta"`
	Name        name       `json:"name"`
	Phones      []element  `json:"phoneNumbers,omitempty"`
	Roles       []string   `json:"roles"`
	Title       string     `json:"title,omitempty"`
	Enterprise  enterprise `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User,omitzero"`
}

type entraGroup struct {
	Schemas     []string `json:"schemas"`
	ExternalID  string   `json:"externalId"`
	DisplayName string   `json:"displayName"`
	Members     []string `json:"members"`
	Meta        meta     `json:"meta"`
}

type meta struct {
	ResourceType string `json:"resourceType"`
}

// entraMember carries the null that Entra sends with every member.
type entraMember struct {
	Ref   *string `json:"$ref"`
	Value string  `json:"value"`
}

// entraMapping is the attribute mapping of a default provisioning job: the path that Entra
// patches, the value in the directory, the value at the service provider.
var entraMapping = []struct {
	path string
	want func(entra, Person) string
	held func(heldUser) string
}{
	{"userName", func(_ entra, p Person) string { return p.UserName }, func(u heldUser) string { return u.UserName }},
	{"displayName", func(_ entra, p Person) string { return p.DisplayName() }, func(u heldUser) string { return u.DisplayName }},
	{"title", func(_ entra, p Person) string { return p.Title }, func(u heldUser) string { return u.Title }},
	{`emails[type eq "work"].value`, func(_ entra, p Person) string { return p.Email }, heldUser.email},
	{"name.givenName", func(_ entra, p Person) string { return p.Given }, func(u heldUser) string { return u.Name.Given }},
	{"name.familyName", func(_ entra, p Person) string { return p.Family }, func(u heldUser) string { return u.Name.Family }},
	{"name.formatted", func(_ entra, p Person) string { return p.DisplayName() }, func(u heldUser) string { return u.Name.Formatted }},
	{`phoneNumbers[type eq "work"].value`, func(_ entra, p Person) string { return p.Phone }, heldUser.phone},
	{"externalId", entra.externalID, func(u heldUser) string { return u.ExternalID }},
	{enterpriseSchema + ":employeeNumber", func(_ entra, p Person) string { return p.Number }, func(u heldUser) string { return u.Enterprise.Number }},
	{enterpriseSchema + ":department", func(_ entra, p Person) string { return p.Department }, func(u heldUser) string { return u.Enterprise.Department }},
}

func (e entra) externalID(p Person) string {
	if e.mapping == MappingObjectID {
		return p.ID
	}
	return p.Nickname
}

func (entra) header(token string) http.Header {
	return http.Header{
		"Authorization": {"Bearer " + token},
		"Adscimversion": {"2.0"},
		"User-Agent":    {""}, // none is sent
	}
}

func (e entra) probes() []call {
	return []call{
		{http.MethodGet, "/Users?filter=" + percent(equals("userName", uuid.NewString())), nil},
		e.findGroup(Group{Name: uuid.NewString()}),
	}
}

func (entra) findUser(p Person) call {
	return call{http.MethodGet, "/Users?filter=" + percent(equals("userName", p.UserName)), nil}
}

func (e entra) createUser(p Person, _ Person) call {
	return call{http.MethodPost, "/Users", entraUser{
		Schemas:     []string{userSchema, enterpriseSchema},
		ExternalID:  e.externalID(p),
		UserName:    p.UserName,
		Active:      true,
		DisplayName: p.DisplayName(),
		Emails:      workElements(p.Email),
		Meta:        meta{"User"},
		Name:        name{Formatted: p.DisplayName(), Family: p.Family, Given: p.Given},
		Phones:      workElements(p.Phone),
		Roles:       []string{},
		Title:       p.Title,
		Enterprise:  enterprise{Number: p.Number, Department: p.Department},
	}}
}

// changeUser sends what differs, and nothing if nothing does.
func (e entra) changeUser(held heldUser, p Person, _ Person) []call {
	var operations []operation
	merged := map[string]any{}
	for _, attribute := range entraMapping {
		want, has := attribute.want(e, p), attribute.held(held)
		switch {
		case want == has:
		case want == "":
			operations = append(operations, operation{Op: e.op("Remove"), Path: attribute.path})
		case e.flag && !strings.Contains(attribute.path, "["):
			merged[attribute.path] = want
		case has == "":
			operations = append(operations, operation{e.op("Add"), attribute.path, want})
		default:
			operations = append(operations, operation{e.op("Replace"), attribute.path, want})
		}
	}
	if len(merged) > 0 {
		operations = append(operations, operation{Op: e.op("Replace"), Value: merged})
	}
	if held.active() == p.Inactive {
		operations = append(operations, e.activeOperation(!p.Inactive))
	}
	if len(operations) == 0 {
		return nil
	}
	return []call{patch(userPath(held.ID), operations...)}
}

func (e entra) setActive(id string, active bool) call {
	return patch(userPath(id), e.activeOperation(active))
}

// activeOperation writes the boolean as the string that Entra's default mapping makes of
// it, or as a boolean under the flag.
func (e entra) activeOperation(active bool) operation {
	var value any = active
	if !e.flag {
		value = map[bool]string{true: "True", false: "False"}[active]
	}
	return operation{e.op("Replace"), "active", value}
}

func (e entra) setManager(id, managerID string) []call {
	return []call{patch(userPath(id), operation{e.op("Add"), enterpriseSchema + ":manager", managerID})}
}

func (entra) findGroup(g Group) call {
	return call{http.MethodGet, "/Groups?excludedAttributes=members&filter=" + percent(equals("displayName", g.Name)), nil}
}

func (entra) createGroup(g Group) call {
	return call{http.MethodPost, "/Groups", entraGroup{
		Schemas:     []string{groupSchema, adGroupSchema},
		ExternalID:  g.ID,
		DisplayName: g.Name,
		Members:     []string{},
		Meta:        meta{"Group"},
	}}
}

func (e entra) renameGroup(id, name string) call {
	if e.flag {
		return patch(groupPath(id), operation{Op: "replace", Value: map[string]any{"displayName": name}})
	}
	return patch(groupPath(id), operation{"Replace", "displayName", name})
}

func (e entra) addMembers(group heldGroup, members []member) []call {
	return []call{patch(groupPath(group.ID), operation{e.op("Add"), "members", entraMembers(members)})}
}

func (e entra) removeMember(group heldGroup, gone member) []call {
	if e.flag {
		return []call{patch(groupPath(group.ID), operation{Op: "remove", Path: "members[" + equals("value", gone.id) + "]"})}
	}
	return []call{patch(groupPath(group.ID), operation{"Remove", "members", entraMembers([]member{gone})})}
}

// pushMembers adds everybody again: Entra never replaces a membership.
func (e entra) pushMembers(group heldGroup, members []member) []call {
	return e.addMembers(group, members)
}

func (entra) memberBatch() int { return 1 }

// op is the operation's name as the dialect spells it.
func (e entra) op(capitalised string) string {
	if e.flag {
		return strings.ToLower(capitalised)
	}
	return capitalised
}

func entraMembers(members []member) []entraMember {
	values := make([]entraMember, 0, len(members))
	for _, m := range members {
		values = append(values, entraMember{Value: m.id})
	}
	return values
}

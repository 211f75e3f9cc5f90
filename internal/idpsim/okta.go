package idpsim

import (
	"fmt"
	"maps"
	"net/http"
)

// oktaPage is how many resources Okta asks for at once.
const oktaPage = 100

// oktaPassword is what Okta sends when it does not push passwords. It may break any policy.
const oktaPassword = "1mz050nq"

// okta writes requests as Okta's catalogue applications do.
type okta struct {
	rawToken bool // Authorization holds the token without a scheme
}

// oktaUser is the body of a POST, in Okta's order.
type oktaUser struct {
	Schemas     []string   `json:"schemas"`
	UserName    string     `json:"userName"`
	Name        name       `json:"name"`
	Emails      []element  `json:"emails"`
	Title       string     `json:"title"`
	DisplayName string     `json:"displayName"`
	Locale      string     `json:"locale"`
	Phones      []element  `json:"phoneNumbers,omitempty"`
	Enterprise  enterprise `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User,omitzero"`
	ExternalID  string     `json:"externalId"`
	Groups      []string   `json:"groups"`
	Password    string     `json:"password"`
	Active      bool       `json:"active"`
}

type oktaGroup struct {
	Schemas     []string `json:"schemas"`
	DisplayName string   `json:"displayName"`
	Members     []string `json:"members"`
}

type oktaMember struct {
	Value   string `json:"value"`
	Display string `json:"display"`
}

func (o okta) header(token string) http.Header {
	authorization := "Bearer " + token
	if o.rawToken {
		authorization = token
	}
	return http.Header{
		"Authorization":  {authorization},
		"User-Agent":     {"Okta SCIM Client 1.0.0"},
		"Accept":         {"application/scim+json"},
		"Accept-Charset": {"utf-8"},
		"Content-Type":   {contentType}, // on GETs too
	}
}

func (okta) probes() []call {
	return []call{
		{http.MethodGet, "/Users?startIndex=1&count=2", nil},
		{http.MethodGet, "/Groups?startIndex=1&count=100", nil},
	}
}

func (okta) findUser(p Person) call {
	return call{http.MethodGet, fmt.Sprintf("/Users?filter=%s&startIndex=1&count=%d", percent(equals("userName", p.UserName)), oktaPage), nil}
}

func (okta) createUser(p Person, manager Person) call {
	return call{http.MethodPost, "/Users", oktaUser{
		Schemas:     []string{userSchema, enterpriseSchema},
		UserName:    p.UserName,
		Name:        name{Given: p.Given, Family: p.Family},
		Emails:      workElements(p.Email),
		Title:       p.Title,
		DisplayName: p.DisplayName(),
		Locale:      "en-US",
		Phones:      workElements(p.Phone),
		Enterprise:  oktaEnterprise(p, manager),
		ExternalID:  p.ID,
		Groups:      []string{},
		Password:    oktaPassword,
		Active:      true,
	}}
}

// oktaEnterprise names the manager by number: Okta does not know the id that the service
// provider gave to them.
func oktaEnterprise(p, boss Person) enterprise {
	extension := enterprise{Number: p.Number, Department: p.Department}
	if boss.Nickname != "" {
		extension.Manager = &manager{Value: boss.Number, DisplayName: boss.DisplayName()}
	}
	return extension
}

// changeUser reactivates by PATCH where that is due, and puts the whole user back with
// Okta's attributes in it: all that the service provider returned, id and meta included.
func (o okta) changeUser(held heldUser, p Person, manager Person) []call {
	var calls []call
	if held.active() == p.Inactive {
		calls = append(calls, o.setActive(held.ID, !p.Inactive))
	}
	body := maps.Clone(held.raw)
	maps.Copy(body, map[string]any{
		"schemas":        []string{userSchema, enterpriseSchema},
		"userName":       p.UserName,
		"name":           name{Given: p.Given, Family: p.Family},
		"emails":         workElements(p.Email),
		"title":          p.Title,
		"displayName":    p.DisplayName(),
		"externalId":     p.ID,
		"phoneNumbers":   workElements(p.Phone),
		enterpriseSchema: oktaEnterprise(p, manager),
		"active":         !p.Inactive,
	})
	return append(calls, call{http.MethodPut, userPath(held.ID), body})
}

func (okta) setActive(id string, active bool) call {
	return patch(userPath(id), operation{Op: "replace", Value: map[string]any{"active": active}})
}

// setManager does nothing: the manager is part of the profile.
func (okta) setManager(string, string) []call { return nil }

func (okta) findGroup(g Group) call {
	return call{http.MethodGet, fmt.Sprintf("/Groups?filter=%s&startIndex=1&count=%d", plus(equals("displayName", g.Name)), oktaPage), nil}
}

func (okta) createGroup(g Group) call {
	return call{http.MethodPost, "/Groups", oktaGroup{[]string{groupSchema}, g.Name, []string{}}}
}

func (okta) renameGroup(id, name string) call {
	return patch(groupPath(id), operation{Op: "replace", Value: map[string]any{"id": id, "displayName": name}})
}

// addMembers is preceded by a rename to the name that the group has.
func (o okta) addMembers(group heldGroup, members []member) []call {
	return []call{
		o.renameGroup(group.ID, group.DisplayName),
		patch(groupPath(group.ID), operation{"add", "members", oktaMembers(members)}),
	}
}

func (o okta) removeMember(group heldGroup, gone member) []call {
	return []call{
		o.renameGroup(group.ID, group.DisplayName),
		patch(groupPath(group.ID), operation{Op: "remove", Path: "members[" + equals("value", gone.id) + "]"}),
	}
}

// pushMembers is "Push Now".
func (o okta) pushMembers(group heldGroup, members []member) []call {
	return []call{
		o.renameGroup(group.ID, group.DisplayName),
		patch(groupPath(group.ID), operation{"replace", "members", oktaMembers(members)}),
	}
}

func (okta) memberBatch() int { return 50 }

func oktaMembers(members []member) []oktaMember {
	values := make([]oktaMember, 0, len(members))
	for _, m := range members {
		values = append(values, oktaMember{m.id, m.display})
	}
	return values
}

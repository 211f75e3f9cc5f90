package scimhttp

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
)

// configSchema is the URN of ServiceProviderConfig (RFC 7643 §5).
const configSchema = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"

type meta struct {
	ResourceType string `json:"resourceType"`
	Location     string `json:"location"`
}

type supported struct {
	Supported bool `json:"supported"`
}

// config is the ServiceProviderConfig resource (RFC 7643 §5).
type config struct {
	Schemas []string  `json:"schemas"`
	Patch   supported `json:"patch"`
	Bulk    struct {
		supported
		MaxOperations  int `json:"maxOperations"`
		MaxPayloadSize int `json:"maxPayloadSize"`
	} `json:"bulk"`
	Filter struct {
		supported
		MaxResults int `json:"maxResults"`
	} `json:"filter"`
	Pagination            pagination             `json:"pagination"`
	ChangePassword        supported              `json:"changePassword"`
	Sort                  supported              `json:"sort"`
	ETag                  supported              `json:"etag"`
	AuthenticationSchemes []authenticationScheme `json:"authenticationSchemes"`
	Meta                  meta                   `json:"meta"`
}

// pagination says how lists are paged (RFC 9865 §4).
type pagination struct {
	Cursor                  bool   `json:"cursor"`
	Index                   bool   `json:"index"`
	DefaultPaginationMethod string `json:"defaultPaginationMethod"`
	DefaultPageSize         int    `json:"defaultPageSize"`
	MaxPageSize             int    `json:"maxPageSize"`
	CursorTimeout           int    `json:"cursorTimeout"` // seconds
}

type authenticationScheme struct {
	Type        string `json:"type"`
	Name        string `json:"name"`
	Description string `json:"description"`
	SpecURI     string `json:"specUri"`
	Primary     bool   `json:"primary"`
}

func readServiceProviderConfig(c *call) error {
	answer := config{
		Schemas: []string{configSchema},
		Patch:   supported{true},
		Sort:    supported{true},
		ETag:    supported{true},
		Pagination: pagination{
			Cursor: true, Index: true, DefaultPaginationMethod: "index",
			DefaultPageSize: store.DefaultCount, MaxPageSize: store.MaxCount,
			CursorTimeout: max(1, int(c.door.store.CursorTimeout()/time.Second)),
		},
		AuthenticationSchemes: c.authenticationSchemes(),
		Meta:                  meta{"ServiceProviderConfig", c.base() + "/ServiceProviderConfig"},
	}
	answer.Bulk.Supported = c.door.offers("bulk")
	answer.Bulk.MaxOperations = scim.MaxBulkOperations
	answer.Bulk.MaxPayloadSize = scim.MaxBulkPayload
	answer.Filter.Supported = true
	answer.Filter.MaxResults = store.MaxCount
	return c.discovered(answer)
}

// authenticationSchemes are how a provisioning client may prove itself: with a
// token of the connection, or with one that it fetches.
func (c *call) authenticationSchemes() []authenticationScheme {
	return []authenticationScheme{{
		Type:        "oauthbearertoken",
		Name:        "OAuth Bearer Token",
		Description: "Authentication with the bearer token of a connection",
		SpecURI:     "https://www.rfc-editor.org/info/rfc6750",
		Primary:     true,
	}, {
		Type: "oauth2",
		Name: "OAuth 2.0 Client Credentials",
		Description: "Authentication with an access token of " + c.door.origin + "/t/" + c.dir.Tenant() +
			"/oauth/token, for a client's secret or assertion (RFC 7523)",
		SpecURI: "https://www.rfc-editor.org/info/rfc6749",
	}}
}

func listResourceTypes(c *call) error {
	var all []json.RawMessage
	for _, rt := range c.dir.ResourceTypes() {
		all = append(all, rt.Discovery(c.base()))
	}
	return c.listDiscovered(all)
}

func readResourceType(c *call) error {
	for _, rt := range c.dir.ResourceTypes() {
		if rt.Name == c.id() {
			return c.discovered(json.RawMessage(rt.Discovery(c.base())))
		}
	}
	return scim.NotFound("there is no such resource type")
}

func listSchemas(c *call) error {
	var all []json.RawMessage
	for _, s := range scim.AllSchemas(c.dir.ResourceTypes()) {
		all = append(all, s.Discovery(c.base()))
	}
	return c.listDiscovered(all)
}

func readSchema(c *call) error {
	for _, s := range scim.AllSchemas(c.dir.ResourceTypes()) {
		if strings.EqualFold(s.ID, c.id()) {
			return c.discovered(json.RawMessage(s.Discovery(c.base())))
		}
	}
	return scim.NotFound("there is no such schema")
}

// discovered answers one discovery resource. It describes the service provider
// and no tenant's data, but only to a credential that holds.
func (c *call) discovered(resource any) error {
	if err := c.dir.Enter(c.context()); err != nil {
		return err
	}
	body, err := json.Marshal(resource)
	if err != nil {
		return err
	}
	write(c.answer, http.StatusOK, body)
	return nil
}

// listDiscovered answers all of them: parameters of lists are ignored, and a
// filter is refused (RFC 7644 §4).
func (c *call) listDiscovered(all []json.RawMessage) error {
	values, err := parameters(c.request.URL.RawQuery)
	if err != nil {
		return err
	}
	if _, filtered := values["filter"]; filtered {
		return refuse(http.StatusForbidden, "this endpoint cannot be filtered")
	}
	return c.discovered(struct {
		Schemas      []string          `json:"schemas"`
		TotalResults int               `json:"totalResults"`
		StartIndex   int               `json:"startIndex"`
		ItemsPerPage int               `json:"itemsPerPage"`
		Resources    []json.RawMessage `json:"Resources"`
	}{[]string{listSchema}, len(all), 1, len(all), all})
}

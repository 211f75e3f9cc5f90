package scimhttp

import (
	"net/http"
	"strconv"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
)

// listSchema is the URN of every list (RFC 7644 §3.4.2).
const listSchema = "urn:ietf:params:scim:api:messages:2.0:ListResponse"

// longestSearch is the longest body of a search, in bytes: its parameters have
// bounds of their own.
const longestSearch = 64 << 10

// kinds are the resource types that an endpoint lists; an error says that there is
// no such endpoint.
type kinds func(*call) ([]*scim.ResourceType, error)

// kindOf lists the resources of an endpoint of one type.
func kindOf(of func(*call) (endpoint, error)) kinds {
	return func(c *call) ([]*scim.ResourceType, error) {
		e, err := of(c)
		return []*scim.ResourceType{e.rt}, err
	}
}

// allKinds are those of the root, where one list holds resources of every type
// (RFC 7644 §3.4.2.1).
func allKinds(c *call) ([]*scim.ResourceType, error) { return c.dir.ResourceTypes(), nil }

// list makes the handler of a GET that lists resources (RFC 7644 §3.4.2).
func list(of kinds) handler {
	return func(c *call) error {
		values, err := parameters(c.request.URL.RawQuery)
		if err != nil {
			return err
		}
		return c.list(of, values)
	}
}

// search makes the handler of a POST that lists resources (RFC 7644 §3.4.3): its
// body says what the parameters of a GET say, and those are not looked at.
func search(of kinds) handler {
	return func(c *call) error {
		body, err := c.body(longestSearch)
		if err != nil {
			return err
		}
		values, err := scim.ParseSearch(body, c.profile())
		if err != nil {
			return err
		}
		return c.list(of, values)
	}
}

func (c *call) list(of kinds, values map[string]string) error {
	types, err := of(c)
	if err != nil {
		return err
	}
	query, err := c.query(types, values)
	if err != nil {
		return err
	}
	views := make(map[*scim.ResourceType]view, len(types))
	for _, rt := range types {
		v, err := newView(rt, values)
		if err != nil {
			return err
		}
		views[rt] = v
		query.WithGroups = query.WithGroups || rt.Name == "User" && v.rows != nil
		query.WithMembers = query.WithMembers || rt.Name == "Group" && v.rows != nil
	}
	page, err := c.dir.List(c.context(), query)
	if err != nil {
		return err
	}
	return c.many(page, views)
}

// many answers one page of a list.
func (c *call) many(page store.Page, views map[*scim.ResourceType]view) error {
	dst := make([]byte, 0, 256+1024*len(page.Items))
	dst = append(dst, `{"schemas":["`+listSchema+`"]`...)
	if page.Counted {
		c.dir.Record().Found(page.Total)
		dst = strconv.AppendInt(append(dst, `,"totalResults":`...), int64(page.Total), 10)
	}
	if page.StartIndex > 0 {
		dst = strconv.AppendInt(append(dst, `,"startIndex":`...), int64(page.StartIndex), 10)
	}
	dst = strconv.AppendInt(append(dst, `,"itemsPerPage":`...), int64(len(page.Items)), 10)
	if page.Previous != "" {
		dst = append(append(append(dst, `,"previousCursor":"`...), page.Previous...), '"')
	}
	if page.Next != "" {
		dst = append(append(append(dst, `,"nextCursor":"`...), page.Next...), '"')
	}
	dst = append(dst, `,"Resources":[`...)
	var err error
	for i, item := range page.Items {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = found(item).append(dst, c.base(), views[item.Type]); err != nil {
			return err
		}
	}
	write(c.answer, http.StatusOK, append(dst, ']', '}'))
	return nil
}

// found is one resource of a list on its way out.
func found(f store.Found) resource {
	r := resource{rt: f.Type, id: f.ID.String(), version: f.Version, created: f.Created, modified: f.Modified, stored: f.JSON}
	if f.Type.Name == "Group" {
		r.rows, r.hasRows = memberRows(f.Members), f.Members != nil
	} else {
		r.rows, r.hasRows = groupRows(f.Groups), len(f.Groups) > 0
	}
	return r
}

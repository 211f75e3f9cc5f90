package scimhttp

import (
	"net/http"

	"github.com/muster-id/muster/internal/scim"
)

// listUsers answers GET /Users (RFC 7644 §3.4.2).
func listUsers(c *call) error {
	query, v, err := c.query(c.dir.UserType())
	if err != nil {
		return err
	}
	query.WithGroups = v.rows != nil
	page, err := c.dir.Users(c.context(), query)
	if err != nil {
		return err
	}
	return many(c, page, c.user, v)
}

// createUser answers POST /Users (RFC 7644 §3.3). Reactivating an inactive user
// of the same externalId is a creation to the client: 201, with the id it had.
func createUser(c *call) error {
	v, doc, err := c.document(c.dir.UserType(), longestUser)
	if err != nil {
		return err
	}
	user, _, err := c.dir.CreateUser(c.context(), doc)
	if err != nil {
		return err
	}
	return c.one(http.StatusCreated, c.user(user), v)
}

// readUser answers GET /Users/{id} (RFC 7644 §3.4.1).
func readUser(c *call) error {
	v, err := c.view(c.dir.UserType())
	if err != nil {
		return err
	}
	user, err := c.dir.User(c.context(), c.id(), v.rows != nil)
	if err != nil {
		return err
	}
	return c.read(c.user(user), v)
}

// replaceUser answers PUT /Users/{id} (RFC 7644 §3.5.1): what is left out is
// cleared, except active, which only a value changes (Q61).
func replaceUser(c *call) error {
	v, doc, err := c.document(c.dir.UserType(), longestUser)
	if err != nil {
		return err
	}
	return c.updateUser(v, func(scim.Resource) (scim.Resource, []scim.Note, error) {
		return doc.Resource, doc.Notes, nil
	})
}

// patchUser answers PATCH /Users/{id} (RFC 7644 §3.5.2) with 200 and the user.
func patchUser(c *call) error {
	v, patch, err := c.patch(c.dir.UserType(), longestUser)
	if err != nil {
		return err
	}
	return c.updateUser(v, func(old scim.Resource) (scim.Resource, []scim.Note, error) {
		return patch.Apply(c.dir.UserType(), old)
	})
}

func (c *call) updateUser(v view, change func(scim.Resource) (scim.Resource, []scim.Note, error)) error {
	user, _, err := c.dir.UpdateUser(c.context(), c.id(), c.ifMatch(), change)
	if err != nil {
		return err
	}
	return c.one(http.StatusOK, c.user(user), v)
}

// deleteUser answers DELETE /Users/{id} (RFC 7644 §3.6).
func deleteUser(c *call) error {
	if err := c.dir.DeleteUser(c.context(), c.id(), c.ifMatch()); err != nil {
		return err
	}
	c.answer.WriteHeader(http.StatusNoContent)
	return nil
}

// view reads which attributes the answer shall show.
func (c *call) view(rt *scim.ResourceType) (view, error) {
	values, err := parameters(c.request.URL.RawQuery)
	if err != nil {
		return view{}, err
	}
	return newView(rt, values)
}

// document reads the body of a create or replace request, and what to v.
func (c *call) document(rt *scim.ResourceType, limit int64) (view, scim.Document, error) {
	v, err := c.view(rt)
	if err != nil {
		return v, scim.Document{}, err
	}
	body, err := c.body(limit)
	if err != nil {
		return v, scim.Document{}, err
	}
	doc, err := scim.Decode(rt, body, c.profile())
	return v, doc, err
}

// patch reads the body of a PATCH request, and what to v.
func (c *call) patch(rt *scim.ResourceType, limit int64) (view, scim.Patch, error) {
	v, err := c.view(rt)
	if err != nil {
		return v, scim.Patch{}, err
	}
	body, err := c.body(limit)
	if err != nil {
		return v, scim.Patch{}, err
	}
	patch, err := scim.ParsePatch(rt, body, c.profile())
	return v, patch, err
}

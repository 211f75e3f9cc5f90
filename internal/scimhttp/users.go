package scimhttp

import (
	"errors"
	"net/http"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
)

// users is where the tenant's users are.
func users(c *call) (endpoint, error) {
	return endpoint{
		rt: c.dir.UserType(), longest: longestUser,
		read: readUser, create: createUser, replace: replaceUser, patch: patchUser, remove: deleteUser,
	}, nil
}

// createUser does POST /Users (RFC 7644 §3.3). Reactivating an inactive user
// of the same externalId is a creation to the client: 201, with the id it had.
func createUser(c *call, op operation) (outcome, error) {
	return c.create(op, func(doc scim.Document) (store.User, error) {
		user, _, err := c.dir.CreateUser(c.context(), doc)
		return user, err
	})
}

// createNewUser is createUser for who was not here before. It reactivates nobody.
func createNewUser(c *call, op operation) (outcome, error) {
	return c.create(op, func(doc scim.Document) (store.User, error) {
		user, err := c.dir.CreateNewUser(c.context(), doc)
		if errors.Is(err, store.ErrInactive) {
			err = scim.Uniqueness("the user with this externalId is inactive, and nobody is reactivated by creations that refer to one another in a circle: reactivate the user first")
		}
		return user, err
	})
}

// create answers the user that add makes of the operation's document.
func (c *call) create(op operation, add func(scim.Document) (store.User, error)) (outcome, error) {
	doc, err := c.document(op)
	if err != nil {
		return outcome{}, err
	}
	user, err := add(doc)
	if err != nil {
		return outcome{}, err
	}
	return outcome{status: http.StatusCreated, resource: c.user(user), specified: doc.Specified(op.view.rt)}, nil
}

// readUser does GET /Users/{id} (RFC 7644 §3.4.1).
func readUser(c *call, op operation) (outcome, error) {
	user, err := c.dir.User(c.context(), op.id, op.view.rows != nil)
	if err != nil {
		return outcome{}, err
	}
	return outcome{status: http.StatusOK, resource: c.user(user)}, nil
}

// replaceUser does PUT /Users/{id} (RFC 7644 §3.5.1): what is left out is
// cleared, except active, which only a value changes (Q61).
func replaceUser(c *call, op operation) (outcome, error) {
	doc, err := c.document(op)
	if err != nil {
		return outcome{}, err
	}
	done, err := c.updateUser(op, replacementBy(doc, op.view.rt))
	done.specified = doc.Specified(op.view.rt)
	return done, err
}

// patchUser does PATCH /Users/{id} (RFC 7644 §3.5.2): 200 and the user.
func patchUser(c *call, op operation) (outcome, error) {
	patch, err := scim.ParsePatch(op.view.rt, op.body, c.profile())
	if err != nil {
		return outcome{}, err
	}
	done, err := c.updateUser(op, func(old scim.Resource) (scim.Resource, []scim.Note, error) {
		return patch.Apply(op.view.rt, old)
	})
	done.specified = patch.Specified(op.view.rt)
	return done, err
}

func (c *call) updateUser(op operation, change func(scim.Resource) (scim.Resource, []scim.Note, error)) (outcome, error) {
	user, _, err := c.dir.UpdateUser(c.context(), op.id, op.ifMatch, change)
	if err != nil {
		return outcome{}, err
	}
	return outcome{status: http.StatusOK, resource: c.user(user)}, nil
}

// deleteUser does DELETE /Users/{id} (RFC 7644 §3.6).
func deleteUser(c *call, op operation) (outcome, error) {
	return outcome{status: http.StatusNoContent}, c.dir.DeleteUser(c.context(), op.id, op.ifMatch)
}

package scimhttp

import (
	"net/http"
	"strings"

	"github.com/muster-id/muster/internal/scim"
)

// Audience is what an access token has to be for to open /Me: no application's own,
// lest whoever is given one to let a person in could read the person's record. An
// application that shows people their record is registered with it.
func Audience(publicURL string) string {
	return strings.TrimSuffix(publicURL, "/") + "/scim/v2"
}

// authenticateSelf finds the person whom an access token speaks for. A token of
// another form is a provisioning client's.
func (c *call) authenticateSelf() error {
	token, ok := strings.CutPrefix(c.request.Header.Get("Authorization"), "Bearer ")
	if !ok || c.door.verify == nil || len(c.request.Header.Values("Authorization")) != 1 || strings.Count(token, ".") != 2 {
		return c.authenticate()
	}
	access, err := c.door.verify(c.context(), token)
	if err != nil {
		return err
	}
	c.self, err = c.door.store.Self(c.context(), c.parameter("tenant"), access)
	return err
}

// me answers /Me (RFC 7644 §3.11): to a person, the person. It says where that
// resource is in every answer, and changes nothing, because what is known of people
// is what their own directory says. To a provisioning client it is nobody.
func me(c *call) error {
	if c.self == nil {
		return scim.NotFound("this token is of a connection and not of a person: /Me is whom an access token was issued to")
	}
	if !c.reads() {
		user, err := c.self.User(c.context(), false)
		if err != nil {
			return err
		}
		c.answer.Header().Set("Location", userOf(c.self.UserType(), user).location(c.base()))
		return refuse(http.StatusForbidden, "people do not change their own record here: their directory does")
	}
	op := operation{ifMatch: c.ifMatch()}
	if err := checkTags(op.ifMatch); err != nil {
		return err
	}
	var err error
	if op.view, err = c.view(c.self.UserType()); err != nil {
		return err
	}
	user, err := c.self.User(c.context(), op.view.rows != nil)
	if err != nil {
		return err
	}
	found := userOf(c.self.UserType(), user)
	c.answer.Header().Set("Location", found.location(c.base()))
	return c.read(found, op)
}

package scimhttp

import (
	"net/http"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
)

// registered is where the resources of a type are that the tenant has
// registered beside users and groups: the path says which.
func registered(c *call) (endpoint, error) {
	for _, rt := range c.registeredTypes() {
		if rt.Endpoint == "/"+c.parameter("endpoint") {
			return resourcesOf(rt), nil
		}
	}
	return endpoint{}, errNoRoute
}

// registeredTypes are the tenant's own resource types.
func (c *call) registeredTypes() []*scim.ResourceType {
	const stock = 2 // User and Group
	return c.dir.ResourceTypes()[stock:]
}

func resourcesOf(rt *scim.ResourceType) endpoint {
	return endpoint{
		rt: rt, longest: longestUser,
		read: readResource, create: createResource, replace: replaceResource, patch: patchResource, remove: deleteResource,
	}
}

// atRegistered guards what is done at an endpoint that the tenant may not have:
// to it there is no such endpoint, whatever the method.
func atRegistered(m methods) handler {
	return func(c *call) error {
		if _, err := registered(c); err != nil {
			return err
		}
		return m.dispatch(c)
	}
}

// createResource does POST /{endpoint} (RFC 7644 §3.3).
func createResource(c *call, op operation) (outcome, error) {
	doc, err := c.document(op)
	if err != nil {
		return outcome{}, err
	}
	r, err := c.dir.CreateResource(c.context(), op.view.rt, doc)
	if err != nil {
		return outcome{}, err
	}
	return outcome{status: http.StatusCreated, resource: ofType(op.view.rt, r), specified: doc.Specified(op.view.rt)}, nil
}

// readResource does GET /{endpoint}/{id} (RFC 7644 §3.4.1).
func readResource(c *call, op operation) (outcome, error) {
	r, err := c.dir.Resource(c.context(), op.key())
	if err != nil {
		return outcome{}, err
	}
	return outcome{status: http.StatusOK, resource: ofType(op.view.rt, r)}, nil
}

// replaceResource does PUT /{endpoint}/{id} (RFC 7644 §3.5.1): what is left out
// is cleared.
func replaceResource(c *call, op operation) (outcome, error) {
	doc, err := c.document(op)
	if err != nil {
		return outcome{}, err
	}
	r, _, err := c.dir.UpdateResource(c.context(), op.key(), op.ifMatch, replacementBy(doc, op.view.rt))
	if err != nil {
		return outcome{}, err
	}
	return outcome{status: http.StatusOK, resource: ofType(op.view.rt, r), specified: doc.Specified(op.view.rt)}, nil
}

// replacementBy is the change that a replacement makes.
func replacementBy(doc scim.Document, rt *scim.ResourceType) func(scim.Resource) (scim.Resource, []scim.Note, error) {
	return func(old scim.Resource) (scim.Resource, []scim.Note, error) { return doc.Replace(rt, old) }
}

// patchResource does PATCH /{endpoint}/{id} (RFC 7644 §3.5.2): 200 and the resource.
func patchResource(c *call, op operation) (outcome, error) {
	patch, err := scim.ParsePatch(op.view.rt, op.body, c.profile())
	if err != nil {
		return outcome{}, err
	}
	r, _, err := c.dir.UpdateResource(c.context(), op.key(), op.ifMatch, func(old scim.Resource) (scim.Resource, []scim.Note, error) {
		return patch.Apply(op.view.rt, old)
	})
	if err != nil {
		return outcome{}, err
	}
	return outcome{status: http.StatusOK, resource: ofType(op.view.rt, r), specified: patch.Specified(op.view.rt)}, nil
}

// deleteResource does DELETE /{endpoint}/{id} (RFC 7644 §3.6).
func deleteResource(c *call, op operation) (outcome, error) {
	return outcome{status: http.StatusNoContent}, c.dir.DeleteResource(c.context(), op.key(), op.ifMatch)
}

func (op operation) key() store.ResourceKey { return store.ResourceKey{Type: op.view.rt, ID: op.id} }

func ofType(rt *scim.ResourceType, r store.Resource) resource {
	return resource{rt: rt, id: r.ID.String(), version: r.Version, created: r.Created, modified: r.Modified, stored: r.JSON}
}

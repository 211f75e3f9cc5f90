package scimhttp

import (
	"net/http"
	"slices"

	"github.com/muster-id/muster/internal/scim"
)

// offers reports whether the deployment offers an endpoint: see [Config.Without].
func (d *Door) offers(name string) bool { return !slices.Contains(d.without, name) }

// offered is handle, or 501 where the deployment does without the endpoint (RFC 7644
// §3.7, §3.11). That too is said to a credential that holds only.
func (d *Door) offered(name string, handle handler) handler {
	if d.offers(name) {
		return handle
	}
	return func(c *call) error {
		if err := c.enter(); err != nil {
			return err
		}
		return refuse(http.StatusNotImplemented, "this service provider does not offer this endpoint")
	}
}

// checkSensitive refuses a filter in an address by an attribute that the deployment
// keeps out of addresses (RFC 7644 §7.5.2): see [Config.Sensitive].
func (c *call) checkSensitive(types []*scim.ResourceType, filters []*scim.Filter) error {
	if !c.reads() {
		return nil
	}
	for i, rt := range types {
		for _, name := range c.door.sensitive {
			ref, err := rt.Resolve(name)
			if err == nil && filters[i].Reads(ref) {
				return scim.Sensitive("%s may not be filtered by in an address: send the filter as a POST to /.search", name)
			}
		}
	}
	return nil
}

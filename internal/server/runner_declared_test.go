package server_test

import (
	"context"
	"testing"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/storetest"
)

// A service provider may have schemas, extensions and resource types of its own, which
// are no fault: the runner passes whatever it plays.
func TestConformanceBesideDeclaredSchemas(t *testing.T) {
	w := start(t, storetest.New(t))
	w.tenant("acme")
	token := w.connect("acme", "connection", "lenient")
	for extends, document := range map[string]string{
		"User":  `{"id":"urn:example:scim:acme:User","attributes":[{"name":"badge","uniqueness":"server"}]}`,
		"Group": `{"id":"urn:example:scim:acme:Group","name":"Acme","attributes":[{"name":"floor","type":"integer"}]}`,
		"":      `{"id":"urn:example:scim:acme:Room","attributes":[{"name":"number"}]}`,
	} {
		if _, err := w.declare("acme", extends, []byte(document)); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := w.store.Admin(context.Background(), "acme", "test", store.Request{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = dir.RegisterResourceType(context.Background(), []byte(`{"id":"Room","name":"Room","endpoint":"/Rooms","schema":"urn:example:scim:acme:Room"}`))
	if err != nil {
		t.Fatal(err)
	}
	w.passesAll(t, token, 160, true)
}

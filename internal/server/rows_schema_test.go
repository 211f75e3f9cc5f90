package server_test

import (
	"context"
	"strings"
	"testing"

	"github.com/muster-id/muster/conformance"
	"github.com/muster-id/muster/internal/store"
)

// schemaRows show what a tenant may not declare, and that it is that which is refused.
func schemaRows(t *testing.T, c *conforming) {
	for _, row := range []struct{ id, attribute, instead, why string }{
		{"A04", `{"name":"1x"}`, `{"name":"x1"}`, "letter"},
		{"A08", `{"name":"x","type":"map"}`, `{"name":"x","type":"string"}`, "type"},
		{"A24", `{"name":"x","type":"complex","subAttributes":[{"name":"y","type":"complex","subAttributes":[{"name":"z"}]}]}`,
			`{"name":"x","type":"complex","subAttributes":[{"name":"y"}]}`, "complex"},
		{"B08", `{"name":"id","mutability":"readWrite"}`, `{"name":"identity","mutability":"readWrite"}`, "id"},
		{"B28", `{"name":"userName"}`, `{"name":"otherName"}`, "userName"},
	} {
		c.Row(t, row.id, func(trial *conformance.Trial) {
			dir := c.world.admin(tenantOf(trial))
			declare := func(attribute string) error {
				_, err := dir.DeclareSchema(t.Context(), []byte(`{"id":"urn:example:x","attributes":[`+attribute+`]}`), "User")
				return err
			}
			err := declare(row.attribute)
			trial.Check(err != nil && strings.Contains(err.Error(), row.why), "%s: got %v, want a refusal that names %s", row.attribute, err, row.why)
			trial.Expect(trial.Send("GET /Schemas/urn:example:x"), "404\n...")
			err = declare(row.instead)
			trial.Check(err == nil, "%s: %v", row.instead, err)
			trial.Expect(trial.Send("GET /Schemas/urn:example:x"), "200\n"+`{"id":"urn:example:x","...":"..."}`)
		})
	}
}

// admin is the tenant's Directory in an administrator's hands.
func (w *world) admin(tenant string) *store.Directory {
	w.t.Helper()
	dir, err := w.store.Admin(context.Background(), tenant, "test", store.Request{})
	if err != nil {
		w.t.Fatal(err)
	}
	return dir
}

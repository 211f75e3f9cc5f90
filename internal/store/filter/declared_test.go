package filter_test

import (
	"context"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/muster-id/muster/conformance"
	"github.com/muster-id/muster/internal/scim"
)

// What a tenant has declared is found as Match finds it: an extension of its users, and
// resources of a type that it registered, with an attribute of every type and every
// kind of uniqueness.
func TestPostgresFindsWhatMatchFindsOfDeclaredSchemas(t *testing.T) {
	user, registered := declared(t)
	found := map[string]int{}
	check(t, func(t *rapid.T, tx pgx.Tx) {
		claimed := map[scim.Claim]bool{}
		d := directory{
			users:      drawDistinct(t, user, claimed),
			registered: drawDistinct(t, registered, claimed),
		}
		b := &pgx.Batch{}
		for _, u := range d.users {
			queueUser(b, user, u)
			queueClaims(b, user, u)
		}
		for _, r := range d.registered {
			queueRegistered(b, registered, r)
			queueClaims(b, registered, r)
		}
		if err := tx.SendBatch(context.Background(), b).Close(); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			rt := rapid.SampledFrom([]*scim.ResourceType{user, registered}).Draw(t, "type")
			if f := drawBound(t, rt); f != nil {
				found[rt.Name] += d.agree(t, tx, rt, f)
			}
		}
	})
	if found["User"] == 0 || found[registered.Name] == 0 {
		t.Errorf("found %v, want some of either type", found)
	}
}

// declared are the types of a tenant that has an extension of its own for users, and
// another type with that extension.
func declared(t *testing.T) (user, registered *scim.ResourceType) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var schemas []scim.Declaration
	for _, text := range conformance.TestSchemas() {
		schema, err := scim.ParseSchema(text)
		must(err)
		schemas = append(schemas, schema)
	}
	extended, _ := scim.StockType("User")
	test, err := scim.ParseResourceType(conformance.TestTypes()[0])
	must(err)
	types, err := scim.TenantTypes(schemas, []scim.TypeDeclaration{extended.Extended(schemas[1].ID), test})
	must(err)
	return types[0], types[2]
}

// drawDistinct draws a few resources; who would claim a unique value that is claimed is
// left out.
func drawDistinct(t *rapid.T, rt *scim.ResourceType, claimed map[scim.Claim]bool) (drawn []*record) {
	for i := range 5 {
		id := userID(i)
		if rt.Name != "User" {
			id = groupID(i)
		}
		r := drawRecord(t, rt, id)
		claims := rt.Claims(r.resource)
		switch {
		case r.deleted:
		case slices.ContainsFunc(claims, func(c scim.Claim) bool { return claimed[c] }):
			continue
		default:
			for _, c := range claims {
				claimed[c] = true
			}
		}
		drawn = append(drawn, r)
	}
	return drawn
}

func queueRegistered(b *pgx.Batch, rt *scim.ResourceType, r *record) {
	b.Queue(`
		insert into resources (tenant_id, connection_id, id, resource_type, external_id,
			created_at, modified_at, deleted_at, resource, search, version)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		tenant, connection, r.common.ID, rt.Name, r.resource["externalId"],
		r.common.Created, r.common.LastModified, r.deletedAt(),
		string(scim.AppendJSON(nil, rt, r.resource)), string(scim.SearchJSON(nil, rt, r.resource)), r.version)
}

// queueClaims inserts what a living resource has of unique values.
func queueClaims(b *pgx.Batch, rt *scim.ResourceType, r *record) {
	if r.deleted {
		return
	}
	for _, claim := range rt.Claims(r.resource) {
		digest := claim.Digest()
		b.Queue(`
			insert into unique_values (tenant_id, connection_id, resource_type, attribute, digest, resource_id)
			values ($1, $2, $3, $4, $5, $6)`, tenant, connection, claim.Type, claim.Attribute, digest[:], r.common.ID)
	}
}

package store

import (
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/scim"
)

// A claimant is a user, group or resource that holds unique values.
type claimant struct{ connection, id uuid.UUID }

// queueClaims makes the unique values that a resource held those that it holds
// now (RFC 7643 §7, uniqueness). Where another one has one of them the
// transaction fails, and is a TakenError. Without such attributes it costs nothing.
func (dir *Directory) queueClaims(b *pgx.Batch, of claimant, before, after []scim.Claim) {
	if gone := beyond(before, after); len(gone.types) > 0 {
		b.Queue(`
			delete from unique_values v using unnest($3::text[], $4::text[], $5::bytea[]) as gone(resource_type, attribute, digest)
			where v.tenant_id = $1 and v.connection_id = $2 and v.resource_type = gone.resource_type
			and v.attribute = gone.attribute and v.digest = gone.digest and v.resource_id = $6`,
			dir.tenant, of.connection, gone.types, gone.attributes, gone.digests, of.id)
	}
	if added := beyond(after, before); len(added.types) > 0 {
		b.Queue(`select claim($1, $2, $3, $4, $5)`, of.connection, of.id, added.types, added.attributes, added.digests)
	}
}

// claimColumns are claims as parameters.
type claimColumns struct {
	types, attributes []string
	digests           [][]byte
}

// beyond are the claims that are not among others.
func beyond(claims, others []scim.Claim) (columns claimColumns) {
	known := make(map[scim.Claim]bool, len(others))
	for _, c := range others {
		known[c] = true
	}
	for _, c := range claims {
		if known[c] {
			continue
		}
		digest := c.Digest()
		columns.types = append(columns.types, c.Type)
		columns.attributes = append(columns.attributes, c.Attribute)
		columns.digests = append(columns.digests, digest[:])
	}
	return columns
}

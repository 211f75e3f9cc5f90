package filter

import "github.com/muster-id/muster/internal/scim"

// claimed holds for the resource that has claimed a unique value. It names every
// column of the table's key, as hasEmail does.
func (c *compiler) claimed(claim scim.Claim) string {
	row, digest := c.table.row, claim.Digest()
	return "exists (select from unique_values v" +
		" where v.tenant_id = " + row + ".tenant_id and v.connection_id = " + row + ".connection_id and v.resource_id = " + row + ".id" +
		" and v.resource_type = " + c.arg(claim.Type, "text") + " and v.attribute = " + c.arg(claim.Attribute, "text") +
		" and v.digest = " + c.arg(digest[:], "bytea") + ")"
}

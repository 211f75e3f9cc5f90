// Package rolemap turns a person's groups and attributes into roles with CEL rules.
//
// It is pure: no I/O, no clock. A rule that fails grants nothing.
//
// [Parse] reads a rule set (YAML), [Compile] checks it against the tenant's
// SCIM schemas and role catalogue, [Check] does both and runs the set's own
// tests: the publish gate up to the preview. [Program.Derive] gives one
// person's assignments, [Program.Explain] says why. A Program never changes and
// is safe for concurrent use.
//
// # Variables
//
//	user             the person, typed from the SCIM schemas: user.userName, user.name.familyName,
//	                 user.emails (a list); also user.id and user.active. Never the password.
//	user.enterprise  attributes of the enterprise extension: user.enterprise.department
//	user.custom      attributes of the tenant's other extensions; a name that two of them share is left out
//	user.groups      the person's groups as a list with id, externalId and displayName
//	groups           their display names; "Finance" in groups is one look-up and compares by scim.Key,
//	                 so letter case does not count
//	tenant           the tenant's slug
//	today            the civil date given to Derive, as a timestamp at 00:00 UTC; the only clock
//
// Only groups of the set's connections count, direct and through nesting. A
// dateTime is a timestamp, a decimal a double, binary and reference are
// strings. Attribute values compare exactly, as CEL compares strings: write
// user.userType.lowerAscii() == "contractor" where letter case must not count.
// A name that is no CEL identifier stands in backticks: user.custom.`cost-center`.
// There are no lookup tables.
//
// # Functions
//
// Operators, has(), the macros all, exists, exists_one, filter, map, optMap and
// optFlatMap, optional access (user.?title.orValue("none")), and the functions
// listed in functions.go: no other, so that an upgrade of cel-go adds nothing.
// A pattern of matches() must be a literal. Two complex values cannot be compared.
//
// # What failure means
//
// An attribute that is absent (missing, null, "", [] or {}; RFC 7643 §2.5) is
// "cannot tell", never a default. So is a value of another type than its
// schema says. An error in `when` does not grant; an error in `unless`
// excludes; has() and optional access are how an author states a default.
//
// && and || ignore an operand that cannot tell only where the other operand
// alone settles the result, whatever the unknown one were. Hence unknown never
// grants: to fill in an absent attribute takes no role away that was granted
// without it, unless the author wrote has() or orValue(). Two failures are not
// of that kind, and && could hide the second: a rule over its cost limit fails
// as a whole, and once the context is done Derive returns no assignment at all.
//
// A rule that does not compile, for instance because a schema or the catalogue
// changed under a published set, is broken: it grants nothing, and every
// Derive reports it in Faults. Nothing else in the set suffers.
//
// # Limits
//
// 256 KiB a set; 200 rules; 1,000 groupRoles; 50 roles a grant; 500 tests; an
// expression 4,096 characters, 50 levels, 1,000 nodes, 2 nested comprehensions;
// estimated cost 500,000 a rule and 2,000,000 a set, computed for 5,000 groups
// and strings of 256; actual cost 100,000 a rule and person; 200 assignments a
// person, else none at all.
package rolemap

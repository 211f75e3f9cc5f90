// Package store is the transaction kernel and the promise: what it has
// acknowledged is durable, and is what the very next decision sees.
//
// # What is always true
//
//   - Everything that lets a person in is a mint (MintCode, MintToken) or reads
//     what a mint reads (Check, Self). A mint takes the gate of tenant, connection and
//     application shared, consumes what is single-use, locks the person FOR SHARE
//     in one statement and reads in the next; only then does it decide.
//   - Everything that shuts a person out either changes the person's row, which
//     waits for running mints, raises the epoch and ends the sessions in a later
//     statement; or takes a gate alone and raises its epoch (Revoke).
//   - There is one way to change a user (changeUser) and one to change a group
//     (groupChange): lock, read, change, save, derive, record, commit.
//   - Users whom one credential adds or changes at the same time share a transaction
//     (together). Each is acknowledged once it is durable, and refused for itself: what
//     fails before its commit is done alone, by each. Once the rules are held it waits for
//     nobody's row, 50 ms for a name, and begins no edit after 100 ms: the rest go alone.
//   - Whoever changes a fact about a person holds the person's row, deleted or
//     not. So the facts about one person have one order.
//   - Whatever is written was read by the tenant's present schemas: a transaction
//     that changes attributes also fails where others have been declared since, and a
//     read that finds so is not answered (ErrRedeclared).
//   - No reader returns a stale assignment. A person is fresh whose row carries
//     the tenant's derivation counter and whose derived_until has not passed; a
//     stale one is evaluated in memory, at one moment, and nothing is written.
//   - A commit is acknowledged when it is known to be durable. A warning, a
//     time-out or a lost connection at COMMIT is unknown: the request's row tells
//     what became of it, in a transaction that has to reach what the first had to
//     reach, or the answer is ErrUnknownOutcome.
//   - A transaction begins by naming tenant and connection for row-level security;
//     a SCIM client's also verifies its credential (entry.go).
//
// # Lock order
//
// Gates, then the tenant's rules (shared; a publish alone), then the tenant's
// nesting (one at a time), then groups by id (advisory: shared for members who
// come and go, alone for what concerns the whole group), then users by id (in
// any order where none is waited for), then names in their order, then the rest;
// the row of sequencers last. Deadlocks and serialisation failures are repeated
// three times.
//
// # Round trips
//
// One for a read, a create or a check; two for PATCH, PUT and a mint. More only
// where groups stand in groups, where a change concerns people it does not name,
// for a person whose roles are stale, and where what would be shared goes alone:
// another transaction has the person, nobody knows them, somebody is refused.
//
// # Tables
//
//	users, user_values, groups, memberships     the directory; rows of one connection
//	resources, unique_values                    resources of types that the tenant registered; what must be unique
//	tenant_schemas, resource_types              what the tenant has declared, each version
//	assignments                                 who holds what, since and until which change, and why
//	changes, change_numbers, sequencers, totals the log, its order, and what is folded from it
//	provisioning_requests                       what was asked and answered; proves that a request was committed
//	identities, sign_ins, sessions, codes       people who sign in
//	clients                                     OAuth clients of a connection, and whose assertions prove them
//	client_secrets                              secrets that prove a client: hashes, each with an end
//	client_tokens                               their access tokens, with the epochs under which each was made
//	client_assertions                           assertions that were brought, until they end: one that has a jti counts once
//	connections, credentials, rule_sets,
//	tenant_roles                                what a tenant has set up (registry, rules.go)
//	tenants, tenant_hosts, tenant_domains,
//	applications, roles, signing_keys, instance global: no row-level security
//
// Subpackages: registry (what is set up), log (append and sequencer), history
// (what was asked, and what is wrong with it), filter (SCIM filter to SQL, pure), storetest (a database for each test).
package store

// Package scimhttp is the door for provisioning clients: RFC 7644 over HTTP.
//
// A bearer token opens one connection of one tenant, and nothing is answered
// before the token has been verified: an unknown route, a malformed body or an
// unsupported feature looks the same as everything else to whoever has none.
//
//	/Users, /Groups              GET list · POST create
//	/                            GET list, of resources of every type
//	…/.search                    POST list
//	/Users/{id}, /Groups/{id}    GET read · PUT replace · PATCH · DELETE
//	/Schemas[/{urn}]             GET
//	/ResourceTypes[/{name}]      GET
//	/ServiceProviderConfig       GET
//	/{endpoint}…                 as /Users, of each resource type that the tenant has registered
//	/Bulk                        POST
//	/Me                          GET
//
// A list is filtered and sorted by any attribute that is ever returned, and paged by
// index (the default) or by cursor (RFC 9865): 100 resources a page, 1,000 at most. A
// cursor is sealed for its connection and query, and good for an hour. What PostgreSQL
// does not answer within 5 seconds is tooMany.
//
// A bulk request (RFC 7644 §3.7) has at most 1,000 operations and 4 MiB. Each
// operation is what a request of its own would be, in a transaction of its own and
// with a request id of its own, by which the outcome of its commit is looked up. They
// are done in their order, but a creation is brought forward where something before
// it refers to its bulkId. Creations that refer to one another in a circle are done
// all or not at all; so that none is left half done, those of them that are there
// already are then deleted again. None of them reactivates anybody: that is 409. An
// operation begins only while at least 8 seconds are left of the request's 30: the
// others are answered 503, and nothing is said to be done that may not be.
//
// /Me (RFC 7644 §3.11) is the person for whom an access token of the audience
// [Audience] was issued at this tenant, as long as that token's application would let
// the person in: each answer is decided in the transaction that reads it. Nobody
// changes anything there (403), because a person's directory says what is known of
// them; to a provisioning client it is 404. That token opens no other address.
//
// Schemas, resource types and endpoints are the tenant's. A request that turns out to
// have been read by former schemas, because others were declared meanwhile, is read anew.
//
// All of it stands under /t/{tenant}/scim/v2, and without the version too; an address
// that lacks the tenant, or has another version, is told so, whoever asks. Doubled and trailing slashes, the
// case of parameter names and unknown parameters do not matter; a known
// parameter given twice is refused, but for lists of attributes, which add up. A user is at most 1 MiB of JSON, a group
// 32 MiB with 100,000 members, and neither is compressed. Of bodies above 64 KiB,
// or of unknown length, eight are in hand at once, four of one tenant, and none
// before its token has been verified. An address that brings bad tokens without end
// is answered 429; a token that holds is served, unless its tenant sends more than it
// may: a few too many are slowed, and the rest is answered 429. Every answer with a
// body is application/scim+json, every refusal an Error message (RFC 7644 §3.12).
//
// A deployment may do without /Bulk and /Me, which then answer 501, and keep attributes
// out of addresses: a GET that filters by one is 403 sensitive, a search is answered.
//
// Every request whose token is known is kept for the provisioning log (record.go): how
// it came, without secrets (redact.go), and how it was answered.
package scimhttp

// Package scim holds the values of SCIM 2.0 and what is done to them: reading
// them from a client, filtering, patching, projecting and writing them.
//
// It is pure: no I/O, no clock, no state that changes. Every parser is bounded
// in the length, depth and number of what it takes; bad input ends in an
// [*Error] in the words of RFC 7644 §3.12, and then nothing has changed. A
// [Profile] says whether customary deviations of clients are repaired, each
// recorded as a [Note], or refused.
//
//	RFC 7643 §2     data types, null and empty       read.go, format.go
//	RFC 7643 §2.1   names in any letter case         attribute.go, json.go
//	RFC 7643 §3     resources, schemas, extensions   resource.go, decode.go
//	RFC 7643 §3.1   common attributes                schema.go
//	RFC 7643 §4     User, Group, enterprise User     schema.go (with errata)
//	RFC 7643 §6     resource types                   resourcetype.go, discovery.go
//	RFC 7643 §7     schemas, characteristics         attribute.go, schema.go, discovery.go
//	                uniqueness, returned on request  unique.go, specified.go
//	what tenants declare of both                     declaration.go, definition.go, typedocument.go, tenant.go
//	RFC 7644 §3.3   create, §3.5.1 replace           decode.go, replace.go
//	RFC 7644 §3.4.2.2 filters                        lex.go, filter.go, filter_parse.go, match.go
//	RFC 7644 §3.4.2.3 sorting                        sort.go
//	RFC 7644 §3.4.3 queries by POST                  search.go
//	RFC 7644 §3.5.2 PATCH                            patch*.go, member.go, path.go
//	RFC 7644 §3.7   bulk requests                    bulk*.go
//	RFC 7644 §3.9   attributes, excludedAttributes   projection.go
//	RFC 7644 §3.10  attribute notation               resourcetype.go
//	RFC 7644 §3.12  errors                           error.go
//	comparison of names                              key.go
//
// Storing a resource and searching it are stored.go.
package scim

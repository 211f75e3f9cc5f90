// Package fetch is the only way out: every request that this program makes to an
// address a tenant has chosen goes through a [Client].
//
// A Client speaks HTTPS on port 443 to public addresses and to nothing else. The address
// is judged when it is dialled, not when it is written down, so neither DNS nor a redirect
// nor an odd spelling leads inward. There is no proxy and no switch that turns this off;
// [Config.AllowLoopback], for a deployment on one machine, adds loopback and only loopback.
//
// As a relying party (OpenID Connect Core 1.0) it reads discovery documents, exchanges
// codes and verifies ID Tokens:
//
//	metadata, err := client.Metadata(ctx, scope, issuer)  // byte-exact issuer; from a cache
//	answer, err := client.Exchange(ctx, request)          // RFC 6749 §4.1.3, RFC 7636
//	claims, err := client.VerifyIDToken(ctx, raw, expect) // Core §3.1.3.7
//
// As an authorization server it verifies the assertions by which clients authenticate:
//
//	assertion, err := client.VerifyAssertion(ctx, raw, expect) // RFC 7523 §3
//
// Limits: 5 s and 512 KiB an exchange, TLS 1.2 or newer, no redirects; a token 16 KiB;
// key set 100 keys. Key sets and discovery documents are kept for each connection by
// itself: 15 minutes, or up to 24 hours while the provider fails, and fetched again at most
// once a minute. JSON is read strictly everywhere: duplicate names, names
// that differ in case only and invalid UTF-8 are refused before any member is read.
//
// Every error is an [*Error]: its text is one of three sentences that reveal nothing of the
// network, [Detail] is for the operator's log.
package fetch

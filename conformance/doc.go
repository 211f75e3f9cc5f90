// Package conformance plays SCIM transcripts and checks against any service provider,
// by its base URL and a bearer token, over real HTTP, and says which requirements they
// showed. It imports nothing of Muster, so that it judges this server and others alike.
//
// # Lists
//
// CHECKLIST.md holds the requirements of the RFCs, QUIRKS.md what customary clients
// send, one row each, with an id: J12, Q43. DIVERGENCES.md says where this server
// departs from either, and which transcript or test shows it; its last table names the
// rows that are not met as they are written, and what is followed in their place.
//
// # Transcripts
//
// A transcript is a file */name.txtar that promises one behaviour. It begins with the
// promise, which names the section or the deviation it stands for, then has sections
// called request and response in turn:
//
//	A user is disabled by replacing active. RFC 7644 §3.5.2.3.
//	Needs: etag
//	-- request --
//	POST /Users
//	{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"alice","active":true}
//	-- response --
//	201
//	ETag: {version}
//	{"id":"{alice}","...":"..."}
//	-- request J47 Q70 --
//	PATCH /Users/{alice}
//	If-Match: {version}
//
//	{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"active","value":false}]}
//	-- response --
//	200
//	{"active":false,"nickName":"!...","...":"..."}
//
// A request is a line with method and target, header lines, and a body. The target may
// be written as it is read: spaces, quotes and brackets are percent-encoded, everything
// else is sent as it stands. Authorization, Accept and Content-Type are added unless
// they are named; a header with an empty value is not sent at all.
//
// A response is a line with the status, header lines, and a JSON pattern:
//
//   - "..." as a member means that others may follow; without it there are no others;
//   - "..." as the last element means that more elements may follow;
//   - "..." as a value, or a header, is any value, which must be there;
//   - "!..." as a value, or a header, says that it must not be there;
//   - ... in the place of the body is any body, and no body means that there is none.
//
// Numbers are compared as they are written, so that 42 is not 42.0.
//
// [Run], which plays to service providers in use, leaves schemas, resource types and
// schemaExtensions that a pattern does not name out of /Schemas and /ResourceTypes, and
// out of their counts, before it compares; [Play] compares all that is there.
//
// A transcript expects a connection without users and groups. Those under strict/ are
// played to a strict connection, all others to a lenient one.
//
// # Folders
//
// entra, okta, onelogin, jumpcloud, google, pingfederate, pingone, rippling, sailpoint
// and authentik hold the life of one client each, from the test of the connection to
// deletion; clients what others and unnamed ones send; suites what third parties' suites
// assert. rfc7644, strict and checklist hold what the RFCs ask for.
//
// # Captures and actors
//
// {name} in a pattern takes whatever stands there the first time, and must equal it
// every later time; in a request it is filled in. Known from the beginning are
//
//   - {base} and {token}: the base URL and the bearer token;
//   - {nobody}: an id that no resource has;
//
// and, where the line "Needs:" of the promise names the actor,
//
//   - {neighbour} and {neighbourToken} (Needs: neighbour): another tenant;
//   - {siblingToken}: another connection of the same tenant;
//   - {strictToken}: a strict connection of the same tenant;
//   - {personToken}: an access token of a person of the same tenant, for /Me;
//   - {tokenURL}: where OAuth clients of the connection fetch access tokens of an hour;
//     with {clientID}, {clientSecret}, {nextSecret} and {clientBasic} of one that has two
//     secrets, {expiredSecret}, a form with one that has expired, and {signedClientID},
//     {assertion} and {strangeAssertion} of one that its issuer's assertions prove.
//
// A target that begins with {neighbour} goes there; a header
// "Authorization: Bearer {neighbourToken}" says who sends it.
//
// "Needs:" also names features, without which a transcript is reported as not played
// rather than failed. [Probe] lists them: bulk, sort, cursor, TestResource and so on.
//
// # Rows
//
// A request section may carry the ids of rows: the step with its answer shows them. A
// step without rows sets the scene. A row is shown if every step that carries it was
// answered as expected, and the answer differs from the expectation inverted: the
// status, each header and each leaf of the body changed, one at a time. So an
// expectation that would hold whatever is answered shows nothing.
//
// # Checks
//
// Rows that no transcript can express (what holds of every value, of many requests, in
// parallel) are checks in Go: [Checks] lists those that need nothing but a service
// provider; those that need more are in the tests of the server. A check gets a [Trial]:
//
//	func(t *Trial) {
//		t.Expect(t.Send("POST /Users\n{…}"), `201
//	{"id":"{id}","...":"..."}`)
//		got := t.Send("GET /Users/{id}")
//		t.Check(strings.Contains(got.Body, "x"), "got %s, want x in it", got.Body)
//	}
//
// [Try] runs it twice: as it is, and everything must hold; inverted, and every
// expectation must fail.
package conformance

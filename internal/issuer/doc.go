// Package issuer is the door for applications, the OpenID Provider and the check,
// and the token endpoint for identity providers.
//
// It speaks one flow, the authorization code with PKCE S256 for registered
// applications, and keeps nothing: who may enter is decided by store in the
// transaction that consumes the code, and [Issuer.sign] is the only signer. It
// takes a [store.Grant], which nobody but store can fill.
//
//	application           browser               issuer                      login, store
//	     │ 303 /authorize    │                     │                             │
//	     ├──────────────────►├────────────────────►│ Application, exact redirect │
//	     │                   │                     │ URI, PKCE, scope            │
//	     │                   │                     ├── SignIn ──────────────────►│ … the partner's
//	     │                   │◄── 303 code, state, iss ──────────────────────────┤ IdP, MintCode
//	     │◄──────────────────┤                     │                             │
//	     │ POST /token: code, verifier, secret     │                             │
//	     ├────────────────────────────────────────►├── MintToken ───────────────►│ consume, look at
//	     │◄── access token, ID Token ──────────────┤◄── Grant ───────────────────┤ the person, commit
//	     │                                         │                             │
//	     │ POST /t/{tenant}/check                  │                             │
//	     ├────────────────────────────────────────►├── Check ───────────────────►│ read, one round trip
//	     │◄── allowed, reason, roles, position ────┤                             │
//
// A request whose application or redirect URI is not registered ends on a page;
// every other fault of it goes back to the application by redirect. Success and
// error responses both carry iss (RFC 9207). Every address, the issuer included,
// is built of the configured public URL; Host and Forwarded headers are not read.
//
//	GET, POST /authorize                        RFC 6749 §4.1.1, OpenID Connect Core §3.1.2
//	POST      /token                            RFC 6749 §4.1.3, RFC 7636 §4.6
//	GET       /jwks                             RFC 7517 §5
//	GET       /.well-known/openid-configuration OpenID Connect Discovery §4
//	GET       /.well-known/oauth-authorization-server  RFC 8414 §3
//	POST      /t/{tenant}/check                 ours; see [Issuer.check]
//	POST      /t/{tenant}/oauth/token           RFC 6749 §4.4, RFC 7523 §2.2; see [Issuer.access]
//
// Limits: 64 KiB a form, 4 KiB a check, 2 KiB state and nonce; how often one address
// may begin sign-ins, and bring credentials or codes that do not hold, is the
// server's to say (429). Keys are read again after a minute; the key set is still
// served when the database is not there.
package issuer

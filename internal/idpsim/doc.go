// Package idpsim is an identity provider with bad manners: it speaks to a service provider
// as Microsoft Entra ID or Okta would, and signs people in as they would.
//
// As a SCIM client ([IdP.Push] and the changes after it) it sends the requests of the
// persona, oddities included: Entra's capitalised operations and string booleans, or the
// dotted keys of its aadOptscim062020 flag; Okta's GET and PUT of whole users, its password
// placeholder, and the rename to the same name that comes with every membership change.
// Requests run in parallel, and are repeated when the answer is 429 or 503 or is lost.
//
// As an OpenID Provider ([IdP.Handler]) it offers the authorization code flow with PKCE,
// with the addresses and claims of the persona. Anybody in the directory can sign in by a
// click, also those it has deactivated at the service provider: whether they get in is the
// service provider's decision.
//
// It is made for demonstrations and tests: it authenticates nobody and listens on loopback
// only. It imports nothing of the service provider.
package idpsim

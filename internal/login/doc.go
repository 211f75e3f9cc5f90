// Package login is the door through which people come: it finds whose they are,
// sends them to their organisation's identity provider, and lets in who comes back
// as somebody that store knows and admits.
//
//	browser                     login                        identity provider        store
//	   │ issuer: /authorize holds │                                   │                  │
//	   │                          ├── tenant by parameter, e-mail domain or page ───────►│
//	   │                          ├── discovery, unless remembered ──►│                  │
//	   │                          ├── BeginSignIn: state, nonce, verifier, browser ─────►│
//	   │◄─ 303, __Host- cookie ───┤                                   │                  │
//	   ├── sign in: code + PKCE S256 + nonce ────────────────────────►│                  │
//	   │◄─ 303 /t/{tenant}/callback/{connection}?code&state&iss ──────┤                  │
//	   ├─────────────────────────►├── ResumeSignIn: consumes state, checks cookie ──────►│
//	   │                          │   iss is the connection's (RFC 9207)                 │
//	   │                          ├── code + verifier + secret ──────►│                  │
//	   │                          │◄─ ID Token ───────────────────────┤                  │
//	   │                          │   verified: signature, then strict JSON, then claims │
//	   │                          ├── MintCode: who is it, and may they enter? ─────────►│
//	   │◄─ 303 to the application │                                   │                  │
//	   │   code, state, iss       │                                   │                  │
//
// or, at every step, a page with a status and a sentence that says why not and
// what to do; reasons.go is the list. A page never shows what came with the request
// or from the provider. The log says more: one line with the reason and the detail.
//
// Nothing is kept here between the two requests but a cookie that binds them to
// one browser; a sign-in lives ten minutes and its state works once. Upstream
// tokens are verified and dropped. Nobody is ever created by signing in.
package login

package fetch

import (
	"context"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// maxAssertionLife is how far ahead an assertion may expire, and how long ago it may
	// have been made. Entra's live for 65 minutes.
	maxAssertionLife = 2 * time.Hour
	maxTokenID       = 512 // bytes of jti
)

// ExpectAssertion is what a client assertion must be to be accepted. All but TokenID are
// required.
type ExpectAssertion struct {
	Scope   string // tenant and connection, "acme/entra": separates key caches
	Issuer  string // compared byte for byte, as are the others
	JWKSURI string
	Subject string

	// Audiences are the names by which the client may call us. A token that is for
	// anybody else too is refused.
	Audiences []string
	// TokenID: a token without jti is refused.
	TokenID bool
}

// An Assertion is a verified client assertion: enough to refuse it the next time.
type Assertion struct {
	ID      string    // jti; "": it has none
	Expires time.Time // the last moment at which it is accepted: 60 seconds after its exp
}

// VerifyAssertion verifies a JWT by which a client authenticates (RFC 7523 §3): who made it
// for whom, for how long, and that a key which its Issuer publishes signed it. Whether it was
// brought before is the caller's to know. Addresses come from want only.
func (c *Client) VerifyAssertion(ctx context.Context, raw string, want ExpectAssertion) (Assertion, error) {
	if want.Scope == "" || want.Issuer == "" || want.JWKSURI == "" || want.Subject == "" || len(want.Audiences) == 0 {
		return Assertion{}, refused("Scope, Issuer, JWKSURI, Subject and Audiences must all be known before an assertion is verified")
	}
	claims, _, err := c.verify(ctx, raw, signed{
		by: cacheKey{want.Scope, want.Issuer, want.JWKSURI}, algorithms: slices.Sorted(maps.Keys(algorithms)), kind: "client-authentication+jwt",
	})
	if err != nil {
		return Assertion{}, err
	}
	return want.check(claims, c.now())
}

func (want ExpectAssertion) check(claims Claims, now time.Time) (Assertion, error) {
	id, given := claims.String("jti")
	switch {
	case claims.Issuer != want.Issuer:
		return Assertion{}, refused("iss is %q, not %q", clip(claims.Issuer), want.Issuer)
	case claims.Subject != want.Subject:
		return Assertion{}, refused("sub is %q, not %q", clip(claims.Subject), want.Subject)
	case claims.Has("nonce") || claims.Has("events"):
		return Assertion{}, refused("token has a nonce or events: an ID Token, a logout or a security event token is no assertion")
	case claims.Has("jti") != given || len(id) > maxTokenID:
		return Assertion{}, refused("jti is not a string of 1 to %d bytes", maxTokenID)
	case want.TokenID && !given:
		return Assertion{}, refused("jti is missing: nobody could tell whether the assertion was brought before")
	}
	if err := want.checkAudience(claims); err != nil {
		return Assertion{}, err
	}
	return Assertion{ID: id, Expires: claims.Expiry.Add(leeway)}, checkAssertionTimes(claims, now)
}

func (want ExpectAssertion) checkAudience(claims Claims) error {
	audience, ok := claims.Strings("aud")
	if one, single := claims.String("aud"); single {
		audience, ok = []string{one}, true
	}
	if !ok || len(audience) == 0 {
		return refused("aud is missing or not a string or an array of strings")
	}
	for _, name := range audience {
		if !slices.Contains(want.Audiences, name) {
			return refused("aud names %q, accepted are %v", clip(name), want.Audiences)
		}
	}
	return nil
}

// checkAssertionTimes demands exp, and holds nbf and iat to reason where they are there.
func checkAssertionTimes(claims Claims, now time.Time) error {
	expires, issued := claims.Expiry, claims.IssuedAt
	switch {
	case expires.IsZero():
		return refused("exp is missing or not a number of seconds")
	case !now.Before(expires.Add(leeway)):
		return refused("expired at %s, now is %s", expires.UTC(), now.UTC())
	case expires.Sub(now) > maxAssertionLife:
		return refused("expires at %s, more than %s ahead", expires.UTC(), maxAssertionLife)
	case claims.Has("iat") && issued.IsZero():
		return refused("iat is not a number of seconds")
	case issued.After(now.Add(leeway)):
		return refused("issued in the future, at %s, now is %s: a clock is wrong", issued.UTC(), now.UTC())
	case claims.Has("iat") && (now.Sub(issued) > maxAssertionLife || !expires.After(issued)):
		return refused("issued at %s, more than %s ago or after it expires", issued.UTC(), maxAssertionLife)
	}
	return checkBegins(claims, now)
}

// AssertionSubject reads who an assertion says it is from, before anything in it is
// verified: to find out what to verify it by, and for nothing else. "": it does not say.
func AssertionSubject(raw string) string {
	if len(raw) > maxToken || strings.Count(raw, ".") != 2 {
		return ""
	}
	parts := strings.Split(raw, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	claims, err := parseClaims(payload)
	if err != nil {
		return ""
	}
	return claims.Subject
}

package fetch

import (
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"strings"
	"time"
)

const (
	leeway        = 60 * time.Second // between two clocks
	maxTokenAge   = 10 * time.Minute // since iat: it was fetched a moment ago
	maxTokenLife  = 24 * time.Hour   // from iat to exp
	maxSubjectLen = 255              // Core §2
)

// Expect is what an ID Token must be to be accepted. Scope, Issuer, JWKSURI, ClientID and
// Nonce are required.
type Expect struct {
	Scope    string // tenant and connection, "acme/entra": separates key caches
	Issuer   string // the connection's, compared byte for byte
	JWKSURI  string // the connection's
	ClientID string // ours at the provider
	Nonce    string // of this sign-in

	// Algorithms that the connection accepts, of RS256, PS256, ES256, ES384 and EdDSA;
	// RS256 if there are none.
	Algorithms []string
	// Audiences that the token may have beside ClientID.
	Audiences []string

	// AccessToken and Code that came with the token; at_hash and c_hash, if the token has
	// them, must match.
	AccessToken string
	Code        string

	MaxAge time.Duration // since the person authenticated; 0: any
	ACR    []string      // the token's acr must be one of these; none: any
	AMR    []string      // the token's amr must hold all of these
}

// validate refuses an Expect that would let a check pass for lack of a value.
func (want Expect) validate() error {
	for _, required := range []string{want.Scope, want.Issuer, want.JWKSURI, want.ClientID, want.Nonce} {
		if required == "" {
			return refused("Scope, Issuer, JWKSURI, ClientID and Nonce must all be known before a token is verified")
		}
	}
	return nil
}

// algorithms returns the accepted ones of want.Algorithms.
func (want Expect) algorithms() []string {
	return Metadata{SigningAlgorithms: want.Algorithms}.Algorithms()
}

// check holds the claims against want, in the order of Core §3.1.3.7.
func (want Expect) check(claims Claims, by algorithm, now time.Time) error {
	for _, step := range []func() error{
		func() error { return want.checkIssuer(claims) },
		func() error { return want.checkAudience(claims) },
		func() error { return checkTimes(claims, now) },
		func() error { return want.checkNonce(claims) },
		func() error { return want.checkAuthentication(claims, now) },
		func() error { return checkSubject(claims) },
		func() error { return checkHash(claims, "at_hash", want.AccessToken, by) },
		func() error { return checkHash(claims, "c_hash", want.Code, by) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (want Expect) checkIssuer(claims Claims) error {
	if claims.Issuer != want.Issuer {
		return refused("iss is %q, not %q", clip(claims.Issuer), want.Issuer)
	}
	if claims.Has("events") {
		return refused("token has events: a logout or security event token is no ID Token")
	}
	return nil
}

func (want Expect) checkAudience(claims Claims) error {
	audience, ok := claims.Strings("aud")
	if one, single := claims.String("aud"); single {
		audience, ok = []string{one}, true
	}
	if !ok || !slices.Contains(audience, want.ClientID) {
		return refused("aud does not name us")
	}
	for _, other := range audience {
		if other != want.ClientID && !slices.Contains(want.Audiences, other) {
			return refused("aud names %q, which is not trusted", clip(other))
		}
	}
	party, _ := claims.String("azp")
	if (len(audience) > 1 || claims.Has("azp")) && party != want.ClientID {
		return refused("azp is %q, not us", clip(party))
	}
	return nil
}

func checkTimes(claims Claims, now time.Time) error {
	issued, expires := claims.IssuedAt, claims.Expiry
	switch {
	case issued.IsZero() || expires.IsZero():
		return refused("iat or exp is missing or not a number of seconds")
	case !now.Before(expires.Add(leeway)):
		return refused("expired at %s, now is %s", expires.UTC(), now.UTC())
	case issued.After(now.Add(leeway)):
		return refused("issued in the future, at %s, now is %s: a clock is wrong", issued.UTC(), now.UTC())
	case now.Sub(issued) > maxTokenAge:
		return refused("issued at %s, more than %s ago", issued.UTC(), maxTokenAge)
	case !expires.After(issued) || expires.Sub(issued) > maxTokenLife:
		return refused("lifetime from %s to %s is not within %s", issued.UTC(), expires.UTC(), maxTokenLife)
	}
	return checkBegins(claims, now)
}

func checkBegins(claims Claims, now time.Time) error {
	if begins, ok := claims.Time("nbf"); claims.Has("nbf") && (!ok || begins.After(now.Add(leeway))) {
		return refused("nbf is not a number of seconds, or in the future")
	}
	return nil
}

func (want Expect) checkNonce(claims Claims) error {
	nonce, _ := claims.String("nonce")
	if subtle.ConstantTimeCompare([]byte(nonce), []byte(want.Nonce)) != 1 {
		return refused("nonce is not the one of this sign-in")
	}
	return nil
}

// checkAuthentication holds the token against the connection's conditions on how and when
// the person authenticated (Core §2: auth_time, acr, amr).
func (want Expect) checkAuthentication(claims Claims, now time.Time) error {
	if want.MaxAge > 0 {
		at, ok := claims.Time("auth_time")
		if !ok || now.Sub(at) > want.MaxAge+leeway || at.After(now.Add(leeway)) {
			return refused("auth_time is missing or more than %s ago", want.MaxAge)
		}
	}
	if class, _ := claims.String("acr"); len(want.ACR) > 0 && !slices.Contains(want.ACR, class) {
		return refused("acr is %q, required is one of %v", clip(class), want.ACR)
	}
	methods, _ := claims.Strings("amr")
	for _, required := range want.AMR {
		if !slices.Contains(methods, required) {
			return refused("amr lacks %q", required)
		}
	}
	return nil
}

// checkSubject accepts 1 to 255 visible ASCII characters.
func checkSubject(claims Claims) error {
	invisible := func(r rune) bool { return r <= ' ' || r > '~' }
	if claims.Subject == "" || len(claims.Subject) > maxSubjectLen || strings.ContainsFunc(claims.Subject, invisible) {
		return refused("sub is not 1 to %d visible ASCII characters", maxSubjectLen)
	}
	return nil
}

// checkHash verifies the claim, if it is there, as the left half of the hash of value
// (Core §3.1.3.6, §3.3.2.11).
func checkHash(claims Claims, name, value string, by algorithm) error {
	if !claims.Has(name) {
		return nil
	}
	claimed, _ := claims.String(name)
	hash := by.hash.New()
	hash.Write([]byte(value))
	sum := hash.Sum(nil)
	half := base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	if value == "" || subtle.ConstantTimeCompare([]byte(claimed), []byte(half)) != 1 {
		return refused("%s does not match", name)
	}
	return nil
}

package fetch

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes of algorithms
	_ "crypto/sha512"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json/jsontext"
)

// maxToken is the longest ID Token accepted, in bytes.
const maxToken = 16 << 10

// algorithm is one way to sign that is accepted: asymmetric, and current (RFC 8725 §3.2).
type algorithm struct {
	hash crypto.Hash // of at_hash and c_hash
	kind func(public any) bool
	name string
}

var algorithms = map[string]algorithm{
	"RS256": {crypto.SHA256, isRSA, "RS256"},
	"PS256": {crypto.SHA256, isRSA, "PS256"},
	"ES256": {crypto.SHA256, isCurve("P-256"), "ES256"},
	"ES384": {crypto.SHA384, isCurve("P-384"), "ES384"},
	"EdDSA": {crypto.SHA512, isEd25519, "EdDSA"},
}

func isRSA(public any) bool     { _, ok := public.(*rsa.PublicKey); return ok }
func isEd25519(public any) bool { _, ok := public.(ed25519.PublicKey); return ok }

func isCurve(name string) func(any) bool {
	return func(public any) bool {
		key, ok := public.(*ecdsa.PublicKey)
		return ok && key.Curve.Params().Name == name
	}
}

// fits reports whether key may verify signatures of this algorithm.
func (a algorithm) fits(key verificationKey) bool {
	return a.kind != nil && a.kind(key.public) && (key.algorithm == "" || key.algorithm == a.name)
}

// tokenHeader is the JOSE header of a token (RFC 7515 §4).
type tokenHeader struct {
	Algorithm string  `json:"alg"`
	KeyID     *string `json:"kid"`
	Type      string  `json:"typ"`

	// Members whose mere presence refuses a token: keys by value or by address, extensions
	// that must be understood, nesting, compression, encryption.
	JWK  jsontext.Value `json:"jwk"`
	JKU  jsontext.Value `json:"jku"`
	X5U  jsontext.Value `json:"x5u"`
	X5C  jsontext.Value `json:"x5c"`
	Crit jsontext.Value `json:"crit"`
	B64  jsontext.Value `json:"b64"`
	Cty  jsontext.Value `json:"cty"`
	Zip  jsontext.Value `json:"zip"`
	Enc  jsontext.Value `json:"enc"`
}

// VerifyIDToken returns the claims of raw if it is an ID Token that want.Issuer made for
// this sign-in (OpenID Connect Core 1.0 §3.1.3.7). The signature is verified first, then
// the payload is read strictly, then every claim is held against want. Addresses come from
// want only, never from the token.
func (c *Client) VerifyIDToken(ctx context.Context, raw string, want Expect) (Claims, error) {
	if err := want.validate(); err != nil {
		return Claims{}, err
	}
	claims, header, err := c.verify(ctx, raw, signed{cacheKey{want.Scope, want.Issuer, want.JWKSURI}, want.algorithms(), "id_token+jwt"})
	if err != nil {
		return Claims{}, err
	}
	if err := want.check(claims, algorithms[header.Algorithm], c.now()); err != nil {
		return Claims{}, err
	}
	return claims, nil
}

// signed says whose signature a token must have, and how it may be made.
type signed struct {
	by         cacheKey
	algorithms []string
	kind       string // the typ that tokens of this kind may have beside none and JWT
}

// verify returns the claims of a token that was signed as want says. Nothing in them has
// been held against anything yet.
func (c *Client) verify(ctx context.Context, raw string, want signed) (Claims, tokenHeader, error) {
	header, err := parseHeader(raw, want)
	if err != nil {
		return Claims{}, header, err
	}
	payload, err := c.verifySignature(ctx, raw, header, want.by)
	if err != nil {
		return Claims{}, header, err
	}
	claims, err := parseClaims(payload)
	return claims, header, err
}

// parseHeader reads the header of a token in compact form before anything else looks at it.
func parseHeader(raw string, want signed) (tokenHeader, error) {
	if len(raw) > maxToken || strings.Count(raw, ".") != 2 {
		return tokenHeader{}, refused("token of %d bytes is too long or not in compact form", len(raw))
	}
	if strings.ContainsFunc(raw, isNotCompact) { // decoders skip line ends
		return tokenHeader{}, refused("token has characters that no compact token has")
	}
	first, _, _ := strings.Cut(raw, ".")
	decoded, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		return tokenHeader{}, refused("header of the token: %w", err)
	}
	var header tokenHeader
	if err := decode(decoded, &header); err != nil {
		return tokenHeader{}, refused("header of the token: %w", err)
	}
	return header, header.check(want)
}

func isNotCompact(r rune) bool {
	return r > 'z' || !isLetter(byte(r)) && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
}

func (h tokenHeader) check(want signed) error {
	if !slices.Contains(want.algorithms, h.Algorithm) {
		return refused("token is signed with %q, accepted are %v", clip(h.Algorithm), want.algorithms)
	}
	for _, forbidden := range []jsontext.Value{h.JWK, h.JKU, h.X5U, h.X5C, h.Crit, h.B64, h.Cty, h.Zip, h.Enc} {
		if forbidden != nil {
			return refused("header of the token has a forbidden member: %s", clip(string(forbidden)))
		}
	}
	switch strings.ToLower(strings.TrimPrefix(strings.ToLower(h.Type), "application/")) {
	case "", "jwt", want.kind:
		return nil
	}
	return refused("token is of type %q, not %s", clip(h.Type), want.kind)
}

// verifySignature returns the payload of raw if a key that its Issuer publishes now
// signed it. A key that is not in the set yet is asked for, once a minute at most.
func (c *Client) verifySignature(ctx context.Context, raw string, header tokenHeader, by cacheKey) ([]byte, error) {
	token, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(header.Algorithm)})
	if err != nil {
		return nil, refused("token: %w", err)
	}
	entry := c.keys.entry(by)
	set, err := entry.current(ctx)
	if err != nil {
		return nil, err
	}
	if payload, ok := verifyWith(set.value.candidates(header), token); ok {
		return payload, nil
	}
	if set.value.names(header) {
		return nil, refused("token: signature is not by the key it names")
	}
	newer, err := entry.other(ctx, set)
	if err != nil {
		return nil, err
	}
	if payload, ok := verifyWith(newer.value.candidates(header), token); ok {
		return payload, nil
	}
	return nil, refused("token: no published key signed it")
}

func verifyWith(keys []verificationKey, token *jose.JSONWebSignature) ([]byte, bool) {
	for _, key := range keys {
		if payload, err := token.Verify(key.public); err == nil {
			return payload, true
		}
	}
	return nil, false
}

package fetch

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxKeys    = 100
	minRSABits = 2048
	maxRSABits = 8192
	// maxTried bounds how many keys a token that names none is tried with.
	maxTried = 10
)

// keySet is what an Issuer published at one moment (RFC 7517 §5). It never changes.
type keySet []verificationKey

// verificationKey is one usable public key of a set.
type verificationKey struct {
	id        string // kid; may be ""
	algorithm string // alg; "" when the key does not say
	public    any    // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

// publishedKey is a JWK as published. Certificates in it are not looked at.
type publishedKey struct {
	Kty    string   `json:"kty"`
	Use    string   `json:"use,omitempty"`
	KeyOps []string `json:"key_ops,omitempty"`
	Alg    string   `json:"alg,omitempty"`
	Kid    string   `json:"kid,omitempty"`
	Crv    string   `json:"crv,omitempty"`
	X      string   `json:"x,omitempty"`
	Y      string   `json:"y,omitempty"`
	N      string   `json:"n,omitempty"`
	E      string   `json:"e,omitempty"`
	D      string   `json:"d,omitempty"`
	K      string   `json:"k,omitempty"`
}

// loadKeys asks for the key set of a connection.
func (c *Client) loadKeys(ctx context.Context, key cacheKey) (keySet, error) {
	text, err := c.get(ctx, key.address)
	if err != nil {
		return nil, err
	}
	set, err := parseKeySet(text)
	if err != nil {
		return nil, unreachable("key set: %w", err)
	}
	return set, nil
}

// parseKeySet reads a JWK Set. Keys that cannot verify a signature safely are skipped
// (RFC 7517 §5); a set of more than 100 keys, or in which one kid names two keys, is refused
// whole.
func parseKeySet(text []byte) (keySet, error) {
	var published struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := decode(text, &published); err != nil {
		return nil, err
	}
	if published.Keys == nil || len(published.Keys) > maxKeys {
		return nil, fmt.Errorf("key set without keys, or with more than %d", maxKeys)
	}
	var set keySet
	for _, raw := range published.Keys {
		key, ok := parseKey(raw)
		if !ok {
			continue
		}
		if err := set.accept(key); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// accept adds key to the set, unless it is there already.
func (s *keySet) accept(key verificationKey) error {
	for _, other := range *s {
		if key.id == "" || other.id != key.id {
			continue
		}
		if !samePublic(other.public, key.public) {
			return fmt.Errorf("key set names two keys %.40q", key.id)
		}
		if other.algorithm == key.algorithm {
			return nil
		}
	}
	*s = append(*s, key)
	return nil
}

func samePublic(a, b any) bool {
	switch a := a.(type) {
	case *rsa.PublicKey:
		b, ok := b.(*rsa.PublicKey)
		return ok && a.Equal(b)
	case *ecdsa.PublicKey:
		b, ok := b.(*ecdsa.PublicKey)
		return ok && a.Equal(b)
	case ed25519.PublicKey:
		b, ok := b.(ed25519.PublicKey)
		return ok && a.Equal(b)
	}
	return false
}

// parseKey returns the public key of a JWK, and false when it must not be used: symmetric,
// private, for encryption, of an unknown kind, weak or malformed.
func parseKey(raw jsontext.Value) (verificationKey, bool) {
	var jwk publishedKey
	if err := json.Unmarshal(raw, &jwk); err != nil || jwk.D != "" || jwk.K != "" {
		return verificationKey{}, false
	}
	forSigning := (jwk.Use == "" || jwk.Use == "sig") && (jwk.KeyOps == nil || slices.Contains(jwk.KeyOps, "verify"))
	if !forSigning || !slices.Contains([]string{"RSA", "EC", "OKP"}, jwk.Kty) {
		return verificationKey{}, false
	}
	bare, err := json.Marshal(jwk) // without x5c: a key that is trusted needs no certificate
	if err != nil {
		return verificationKey{}, false
	}
	var parsed jose.JSONWebKey
	if err := parsed.UnmarshalJSON(bare); err != nil || !parsed.Valid() || !isStrong(parsed.Key) {
		return verificationKey{}, false
	}
	return verificationKey{id: jwk.Kid, algorithm: jwk.Alg, public: parsed.Key}, true
}

// isStrong accepts RSA keys of 2048 to 8192 bits with an odd exponent above 1, and the
// curves that the accepted algorithms use.
func isStrong(public any) bool {
	switch key := public.(type) {
	case *rsa.PublicKey:
		bits := key.N.BitLen()
		return minRSABits <= bits && bits <= maxRSABits && key.E > 2 && key.E%2 == 1
	case *ecdsa.PublicKey:
		name := key.Curve.Params().Name
		return name == "P-256" || name == "P-384"
	case ed25519.PublicKey:
		return len(key) == ed25519.PublicKeySize
	}
	return false
}

// candidates returns the keys that may have signed a token with this header: the one it
// names, or, if it names none, at most ten that fit its algorithm.
func (s keySet) candidates(header tokenHeader) []verificationKey {
	var list []verificationKey
	for _, key := range s {
		named := header.KeyID == nil || key.id == *header.KeyID
		if named && algorithms[header.Algorithm].fits(key) && len(list) < maxTried {
			list = append(list, key)
		}
	}
	return list
}

// names reports whether the set holds the key that the header names.
func (s keySet) names(header tokenHeader) bool {
	return header.KeyID != nil && slices.ContainsFunc(s, func(key verificationKey) bool {
		return key.id == *header.KeyID
	})
}

package issuer

import (
	"context"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"github.com/muster-id/muster/internal/store"
)

// maxToken is the longest token that is looked at, in bytes.
const maxToken = 16 << 10

// AccessToken verifies an access token that this issuer signed for an audience (RFC
// 9068 §4, RFC 8725 §3): of its header only alg, kid and typ are looked at, and none
// of them chooses anything but which of our own keys is tried. A token that is not
// all of this is store.ErrUnauthenticated; which part is not said.
//
// Whether it has expired, and whether the person may still enter, is for
// [store.Self] to say, by the database's clock.
func (i *Issuer) AccessToken(ctx context.Context, raw, audience string) (store.PersonToken, error) {
	if len(raw) > maxToken || strings.ContainsFunc(raw, isNotCompact) {
		return store.PersonToken{}, store.ErrUnauthenticated
	}
	token, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil || !isAccessToken(token.Signatures[0].Protected) {
		return store.PersonToken{}, store.ErrUnauthenticated
	}
	found, err := i.keys.current(ctx)
	if err != nil {
		return store.PersonToken{}, err
	}
	key, ok := found.verifier(token.Signatures[0].Protected.KeyID)
	if !ok {
		return store.PersonToken{}, store.ErrUnauthenticated
	}
	payload, err := token.Verify(key)
	if err != nil {
		return store.PersonToken{}, store.ErrUnauthenticated
	}
	return i.accessTokenOf(payload, audience)
}

// accessTokenOf reads the claims of a token that is signed. The decoder refuses
// names that come twice.
func (i *Issuer) accessTokenOf(payload []byte, audience string) (store.PersonToken, error) {
	var claims accessToken
	err := json.Unmarshal(payload, &claims)
	if err != nil || claims.Issuer != i.config.PublicURL || claims.Audience != audience || audience == "" {
		return store.PersonToken{}, store.ErrUnauthenticated
	}
	return store.PersonToken{
		Tenant: claims.Tenant, User: claims.Subject, Session: claims.SessionID, ClientID: claims.ClientID, Audience: claims.Audience,
		Expires: time.Unix(claims.Expires, 0), RoleEpoch: claims.RoleEpoch, ClientEpoch: claims.Epoch,
	}, nil
}

// isAccessToken tells an access token from every other token of ours (RFC 9068 §4).
func isAccessToken(header jose.Header) bool {
	kind, _ := header.ExtraHeaders[jose.HeaderType].(string)
	return header.JSONWebKey == nil && strings.TrimPrefix(strings.ToLower(kind), "application/") == "at+jwt"
}

// isNotCompact finds what decoders of base64 pass over.
func isNotCompact(r rune) bool {
	return !(r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '-' || r == '_' || r == '.')
}

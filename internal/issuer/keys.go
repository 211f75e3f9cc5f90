package issuer

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
)

const (
	keysKept  = time.Minute     // before the key set is read again
	keysRetry = 5 * time.Second // after a reading that failed

	keysPatience = time.Second // of a reading, where there is an earlier one
)

// A signer signs with one key, as the two kinds of token that there are.
type signer struct{ access, id jose.Signer }

// A keyring keeps the deployment's keys in memory: what a kid names never
// changes, which one is active is read again every minute. When the database
// does not answer, the last reading stands; nothing can be minted then anyway.
// Nobody waits for a reading who has an earlier one.
type keyring struct {
	load func(context.Context) (active registry.SigningKey, public []registry.SigningKey, err error)
	now  func() time.Time

	last atomic.Pointer[keys]
	turn chan struct{} // one place: held by whoever reads
}

// keys is one reading. It never changes.
type keys struct {
	kid    string // the active one
	signer signer
	public []byte // JWK Set
	due    time.Time

	verifiers func() []jose.JSONWebKey // public, parsed when it is first needed
}

// verifier returns the public key of that id.
func (k *keys) verifier(kid string) (jose.JSONWebKey, bool) {
	public := k.verifiers()
	at := slices.IndexFunc(public, func(key jose.JSONWebKey) bool { return key.KeyID == kid })
	if kid == "" || at < 0 {
		return jose.JSONWebKey{}, false
	}
	return public[at], true
}

func newKeyring(st *store.Store, now func() time.Time) *keyring {
	load := func(ctx context.Context) (registry.SigningKey, []registry.SigningKey, error) {
		active, err := st.SigningKey(ctx) // first: it makes the first one, so the set holds it
		if err != nil {
			return active, nil, err
		}
		public, err := st.PublicKeys(ctx)
		return active, public, err
	}
	return &keyring{load: load, now: now, turn: make(chan struct{}, 1)}
}

// signer returns the active key's signer.
func (k *keyring) signer(ctx context.Context) (signer, error) {
	found, err := k.current(ctx)
	if err != nil {
		return signer{}, err
	}
	return found.signer, nil
}

// set returns the public keys as a JWK Set (RFC 7517 §5).
func (k *keyring) set(ctx context.Context) ([]byte, error) {
	found, err := k.current(ctx)
	if err != nil {
		return nil, err
	}
	return found.public, nil
}

// current returns the keys of the last reading. Where another is due, whoever
// comes first reads, for a second at most, and the others go on with what there
// is. Only where there is nothing yet everybody waits, and it may fail.
func (k *keyring) current(ctx context.Context) (*keys, error) {
	last := k.last.Load()
	switch {
	case last == nil:
		return k.first(ctx)
	case k.now().Before(last.due):
		return last, nil
	}
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
		return k.again(ctx), nil
	default:
		return last, nil
	}
}

// first makes the first reading, or waits for who makes it.
func (k *keyring) first(ctx context.Context) (*keys, error) {
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-k.turn }()
	if last := k.last.Load(); last != nil {
		return last, nil
	}
	return k.read(ctx, nil)
}

// again makes a further reading, unless another was made before the turn came.
// One that fails leaves the last one standing.
func (k *keyring) again(ctx context.Context) *keys {
	last := k.last.Load()
	if k.now().Before(last.due) {
		return last
	}
	ctx, cancel := context.WithTimeout(ctx, keysPatience)
	defer cancel()
	if found, err := k.read(ctx, last); err == nil {
		return found
	}
	kept := *last
	kept.due = k.now().Add(keysRetry)
	k.last.Store(&kept)
	return &kept
}

// read reads, and keeps the signer of a key that is still the active one.
func (k *keyring) read(ctx context.Context, last *keys) (*keys, error) {
	active, public, err := k.load(ctx)
	if err != nil {
		return nil, err
	}
	found := &keys{kid: active.KID, public: keySet(public), due: k.now().Add(keysKept)}
	found.verifiers = sync.OnceValue(func() []jose.JSONWebKey {
		var set jose.JSONWebKeySet
		if err := json.Unmarshal(found.public, &set); err != nil {
			return nil // nothing is verified by what cannot be read
		}
		return set.Keys
	})
	if last != nil && last.kid == active.KID {
		found.signer = last.signer
	} else if found.signer, err = newSigner(active); err != nil {
		return nil, err
	}
	k.last.Store(found)
	return found, nil
}

// newSigner types the tokens, so that one kind is never taken for the other
// (RFC 8725 §3.11, RFC 9068 §2.1).
func newSigner(key registry.SigningKey) (signer, error) {
	signing := jose.SigningKey{
		Algorithm: jose.SignatureAlgorithm(key.Algorithm),
		Key:       jose.JSONWebKey{Key: key.Private, KeyID: key.KID},
	}
	access, err := jose.NewSigner(signing, (&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		return signer{}, err
	}
	id, err := jose.NewSigner(signing, (&jose.SignerOptions{}).WithType("JWT"))
	return signer{access: access, id: id}, err
}

func keySet(keys []registry.SigningKey) []byte {
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{Keys: []json.RawMessage{}}
	for _, key := range keys {
		set.Keys = append(set.Keys, key.Public)
	}
	body, err := json.Marshal(set)
	if err != nil {
		panic(err) // JWKs that registry wrote
	}
	return body
}

// jwks serves the public keys of every token that may be in use. Relying
// parties may keep it as long as it is kept here.
func (i *Issuer) jwks(w http.ResponseWriter, r *http.Request) error {
	set, err := i.keys.set(r.Context())
	if err != nil {
		return err
	}
	writePublic(w, "application/jwk-set+json", set)
	return nil
}

// writePublic writes what is the same for everybody.
func writePublic(w http.ResponseWriter, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "public, max-age=60")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Write(body)
}

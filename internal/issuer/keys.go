package issuer

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
)

const (
	keysKept  = time.Minute     // before the key set is read again
	keysRetry = 5 * time.Second // after a reading that failed
)

// A signer signs with one key, as the two kinds of token that there are.
type signer struct{ access, id jose.Signer }

// A keyring keeps the deployment's keys in memory: what a kid names never
// changes, which one is active is read again every minute. When the database
// does not answer, the last reading stands; nothing can be minted then anyway.
type keyring struct {
	store *store.Store
	now   func() time.Time

	mu      sync.Mutex
	signers map[string]signer // by kid
	active  string            // kid
	public  []byte            // JWK Set; nil: never read
	due     time.Time         // of the next reading
}

// signer returns the active key's signer.
func (k *keyring) signer(ctx context.Context) (signer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.refresh(ctx)
	return k.signers[k.active], err
}

// set returns the public keys as a JWK Set (RFC 7517 §5).
func (k *keyring) set(ctx context.Context) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.refresh(ctx)
	return k.public, err
}

// refresh reads the keys if they are due. It fails only where there is no
// earlier reading.
func (k *keyring) refresh(ctx context.Context) error {
	if k.public != nil && k.now().Before(k.due) {
		return nil
	}
	err := k.read(ctx)
	if err == nil {
		k.due = k.now().Add(keysKept)
		return nil
	}
	k.due = k.now().Add(keysRetry)
	if k.public != nil {
		return nil
	}
	return err
}

// read reads the active key first: that makes the first one, so the set holds it.
func (k *keyring) read(ctx context.Context) error {
	active, err := k.store.SigningKey(ctx)
	if err != nil {
		return err
	}
	keys, err := k.store.PublicKeys(ctx)
	if err != nil {
		return err
	}
	made, known := k.signers[active.KID]
	if !known {
		if made, err = newSigner(active); err != nil {
			return err
		}
	}
	k.signers, k.active = map[string]signer{active.KID: made}, active.KID
	k.public = keySet(keys)
	return nil
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

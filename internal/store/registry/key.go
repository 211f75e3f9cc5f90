package registry

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// A SigningKey signs the deployment's tokens.
type SigningKey struct {
	KID       string
	Algorithm string            // ES256
	Private   *ecdsa.PrivateKey // nil where only the public half was asked for
	Public    json.RawMessage   // JWK
	Created   time.Time
}

// signingKeyLock serialises the making of the first key.
const signingKeyLock = 0x6d757374 // "must"

// SigningKey answers the active key with its private half, and makes the first
// one where there is none yet.
func (v *Vendor) SigningKey(ctx context.Context) (SigningKey, error) {
	var key SigningKey
	err := v.kernel.Transact(ctx, uuid.Nil, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock($1)`, signingKeyLock); err != nil {
			return err
		}
		var sealed []byte
		err := tx.QueryRow(ctx, `
			select kid, algorithm, private_key, public_key, created_at
			from signing_keys where state = 'active' order by created_at desc limit 1`).
			Scan(&key.KID, &key.Algorithm, &sealed, &key.Public, &key.Created)
		if err == pgx.ErrNoRows {
			key, err = v.insertKey(ctx, tx)
			return err
		}
		if err != nil {
			return err
		}
		key.Private, err = v.openKey(key.KID, sealed)
		return err
	})
	return key, err
}

func (v *Vendor) insertKey(ctx context.Context, tx pgx.Tx) (SigningKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return SigningKey{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return SigningKey{}, err
	}
	key := SigningKey{KID: newID().String(), Algorithm: "ES256", Private: private}
	if key.Public, err = publicJWK(key.KID, &private.PublicKey); err != nil {
		return SigningKey{}, err
	}
	sealed, err := v.kernel.Encrypt(der, keyPlace(key.KID))
	if err != nil {
		return SigningKey{}, err
	}
	err = tx.QueryRow(ctx, `
		insert into signing_keys (kid, algorithm, private_key, public_key, state)
		values ($1, $2, $3, $4, 'active') returning created_at`,
		key.KID, key.Algorithm, sealed, key.Public).Scan(&key.Created)
	return key, err
}

func (v *Vendor) openKey(kid string, sealed []byte) (*ecdsa.PrivateKey, error) {
	der, err := v.kernel.Decrypt(sealed, keyPlace(kid))
	if err != nil {
		return nil, bad("the signing key does not open with this key-encryption key: give the server the key that the database was set up with")
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	return private.(*ecdsa.PrivateKey), nil
}

// PublicKeys lists the public halves of every key whose tokens may still be in use.
func (v *Vendor) PublicKeys(ctx context.Context) ([]SigningKey, error) {
	var keys []SigningKey
	err := v.kernel.Transact(ctx, uuid.Nil, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select kid, algorithm, public_key, created_at from signing_keys order by created_at`)
		if err != nil {
			return err
		}
		keys, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (k SigningKey, err error) {
			return k, row.Scan(&k.KID, &k.Algorithm, &k.Public, &k.Created)
		})
		return err
	})
	return keys, err
}

// publicJWK writes a P-256 public key as RFC 7517 wants it.
func publicJWK(kid string, key *ecdsa.PublicKey) (json.RawMessage, error) {
	point, err := key.Bytes() // 0x04 ‖ x ‖ y
	if err != nil {
		return nil, err
	}
	x, y := point[1:33], point[33:]
	return json.Marshal(map[string]string{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid,
		"x": base64.RawURLEncoding.EncodeToString(x), "y": base64.RawURLEncoding.EncodeToString(y),
	})
}

func keyPlace(kid string) string { return "signing_keys.private_key " + kid }

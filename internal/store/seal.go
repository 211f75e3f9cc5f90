package store

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// A seal keeps secrets: with the key-encryption key it wraps a fresh data key
// for every value that must be read again, and derives the keys for what is
// only ever recomputed.
type seal struct {
	envelope tink.AEAD
	root     []byte
	keys     sync.Map // purpose → derived key
}

// KeySize is the length of the key-encryption key in bytes.
const KeySize = 32

func newSeal(key []byte) (*seal, error) {
	if len(key) != KeySize {
		return nil, errors.New("the key-encryption key must be 32 bytes")
	}
	wrap, err := subtle.NewAESGCM(key)
	if err != nil {
		return nil, err
	}
	return &seal{
		envelope: aead.NewKMSEnvelopeAEAD2(aead.AES256GCMKeyTemplate(), wrap),
		root:     key,
	}, nil
}

// Encrypt seals a secret to its place: table, column, tenant and row.
func (s *seal) Encrypt(secret []byte, place string) ([]byte, error) {
	return s.envelope.Encrypt(secret, []byte(place))
}

// Decrypt opens what Encrypt sealed for the same place, and nothing else.
func (s *seal) Decrypt(sealed []byte, place string) ([]byte, error) {
	return s.envelope.Decrypt(sealed, []byte(place))
}

// derive answers 32 bytes that only the holder of the key can compute from
// purpose and input.
func (s *seal) derive(purpose string, input ...string) []byte {
	mac := hmac.New(sha256.New, s.key(purpose))
	for _, part := range input {
		sum := sha256.Sum256([]byte(part))
		mac.Write(sum[:])
	}
	return mac.Sum(nil)
}

// key is the key of one purpose. Purposes are constants of this package.
func (s *seal) key(purpose string) []byte {
	if key, ok := s.keys.Load(purpose); ok {
		return key.([]byte)
	}
	key, err := hkdf.Key(sha256.New, s.root, nil, "muster "+purpose, sha256.Size)
	if err != nil {
		panic(err) // the lengths are constants
	}
	s.keys.Store(purpose, key)
	return key
}

func (s *seal) deriveText(purpose string, input ...string) string {
	return base64.RawURLEncoding.EncodeToString(s.derive(purpose, input...))
}

// random answers 256 random bits as text.
func random() string {
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func hash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

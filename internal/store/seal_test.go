package store

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func newTestSeal(t *testing.T, key byte) *seal {
	t.Helper()
	s, err := newSeal(bytes.Repeat([]byte{key}, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestAbuse_L05: no nonce comes twice, neither around the data keys nor around
// what they seal, and the same secret never looks the same.
func TestAbuse_L05(t *testing.T) {
	const times, nonce = 20_000, 12
	s := newTestSeal(t, 1)
	seen := make(map[string]bool, 3*times)
	once := func(what string, b []byte) {
		if seen[what+string(b)] {
			t.Fatalf("%s came twice", what)
		}
		seen[what+string(b)] = true
	}
	for range times {
		sealed, err := s.Encrypt([]byte("the same secret"), "the same place")
		if err != nil {
			t.Fatal(err)
		}
		wrapped := 4 + int(binary.BigEndian.Uint32(sealed))
		once("a sealed secret", sealed)
		once("the nonce of a data key", sealed[4:4+nonce])
		once("the nonce of a secret", sealed[wrapped:wrapped+nonce])
		once("a wrapped data key", sealed[4:wrapped])
	}
}

// What was sealed opens at its place and with its key, whole, and nowhere else.
func TestASecretOpensAtItsPlaceOnly(t *testing.T) {
	s := newTestSeal(t, 1)
	sealed, err := s.Encrypt([]byte("secret"), "table.column tenant row")
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := s.Decrypt(sealed, "table.column tenant row"); err != nil || string(plain) != "secret" {
		t.Fatalf("at its place: %q %v", plain, err)
	}
	for _, place := range []string{"", "table.column tenant other", "table.column other row", "table.other tenant row", "table.column tenant row "} {
		if plain, err := s.Decrypt(sealed, place); err == nil {
			t.Errorf("at %q it opens: %q", place, plain)
		}
	}
	if _, err := newTestSeal(t, 2).Decrypt(sealed, "table.column tenant row"); err == nil {
		t.Error("it opens with another key")
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := s.Decrypt(changed, "table.column tenant row"); err == nil {
			t.Errorf("it opens with byte %d changed", i)
		}
		if _, err := s.Decrypt(sealed[:i], "table.column tenant row"); err == nil {
			t.Errorf("its first %d bytes open", i)
		}
	}
}

// What is derived differs by key, purpose and every part of the input, wherever
// one part ends and the next begins.
func TestDerivedKeysDiffer(t *testing.T) {
	s := newTestSeal(t, 1)
	all := [][]byte{
		s.derive("nonce", "a", "b"), s.derive("verifier", "a", "b"), s.derive("nonce", "ab", ""), s.derive("nonce", "", "ab"),
		s.derive("nonce", "ab"), s.derive("nonce", "b", "a"), s.derive("nonce"), newTestSeal(t, 2).derive("nonce", "a", "b"),
	}
	for i := range all {
		for j := range i {
			if bytes.Equal(all[i], all[j]) {
				t.Errorf("%d and %d are the same", i, j)
			}
		}
	}
	if !bytes.Equal(all[0], s.derive("nonce", "a", "b")) {
		t.Error("the same input derives another key")
	}
}

package issuer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/store/registry"
)

// signing is a key as the registry keeps it.
func signing(t *testing.T, kid string) registry.SigningKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return registry.SigningKey{KID: kid, Algorithm: "ES256", Private: private, Public: []byte(`{"kid":"` + kid + `"}`)}
}

// A ring is a keyring on a database and a clock that the test moves.
type ring struct {
	*keyring
	clock time.Time
	read  func(context.Context) (registry.SigningKey, error)
}

func newRing(read func(context.Context) (registry.SigningKey, error)) *ring {
	r := &ring{clock: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), read: read}
	r.keyring = newKeyring(nil, func() time.Time { return r.clock })
	r.load = func(ctx context.Context) (registry.SigningKey, []registry.SigningKey, error) {
		key, err := r.read(ctx)
		return key, []registry.SigningKey{key}, err
	}
	return r
}

func (r *ring) holds(t *testing.T, want string) {
	t.Helper()
	found, err := r.current(t.Context())
	if err != nil || found.kid != want {
		t.Errorf("got %+v %v, want key %s", found, err, want)
	}
}

// While one request waits for the database to say which key is active now, the
// others sign and publish with the keys that are known.
func TestNobodyWaitsForKeysThatAreKnown(t *testing.T) {
	old, next := signing(t, "old"), signing(t, "new")
	r := newRing(func(context.Context) (registry.SigningKey, error) { return old, nil })
	r.holds(t, "old")

	asked, answer := make(chan struct{}), make(chan struct{})
	r.read = func(context.Context) (registry.SigningKey, error) {
		close(asked)
		<-answer
		return next, nil
	}
	r.clock = r.clock.Add(keysKept)
	var reader sync.WaitGroup
	reader.Go(func() { r.holds(t, "new") })
	<-asked
	for range 3 { // each of them would be stuck
		r.holds(t, "old")
		if set, err := r.set(t.Context()); err != nil || string(set) != `{"keys":[{"kid":"old"}]}` {
			t.Errorf("published: %s %v", set, err)
		}
	}
	close(answer)
	reader.Wait()
	r.holds(t, "new")
}

// A database that does not answer costs one request a second, and then is left
// alone for a while; the last reading stands.
func TestKeysOutliveTheDatabase(t *testing.T) {
	key := signing(t, "one")
	r := newRing(func(context.Context) (registry.SigningKey, error) { return key, nil })
	r.holds(t, "one")
	readings := 0
	r.read = func(ctx context.Context) (registry.SigningKey, error) {
		readings++
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("the reading has all the time in the world")
		}
		return registry.SigningKey{}, errors.New("down")
	}
	r.clock = r.clock.Add(keysKept)
	r.holds(t, "one")
	r.holds(t, "one")
	r.clock = r.clock.Add(keysRetry)
	r.holds(t, "one")
	if readings != 2 {
		t.Errorf("the database was asked %d times, want 2", readings)
	}
}

// Where there is no key yet, everybody waits for the first reading, and whoever
// has gone does not.
func TestTheFirstKeyIsWaitedFor(t *testing.T) {
	key := signing(t, "one")
	asked, answer := make(chan struct{}), make(chan struct{})
	r := newRing(func(context.Context) (registry.SigningKey, error) {
		close(asked) // twice would panic
		<-answer
		return key, nil
	})
	var all sync.WaitGroup
	all.Go(func() { r.holds(t, "one") })
	<-asked
	all.Go(func() { r.holds(t, "one") })
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := r.signer(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("somebody who has gone: got %v", err)
	}
	close(answer)
	all.Wait()

	r = newRing(func(context.Context) (registry.SigningKey, error) { return key, errors.New("down") })
	if _, err := r.set(t.Context()); err == nil {
		t.Error("a key set was published that nobody has read")
	}
}

package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
)

// A Trial is one run of a check: of what shows a row that no transcript can express.
//
// Requests and expectations are written as in transcripts, and share captures. Any
// failure of the service provider to do as expected ends the run.
type Trial struct {
	ctx      context.Context
	player   *player
	inverted bool

	mu       sync.Mutex
	sent     int     // requests that were answered
	expected int     // expectations
	failures []error // of expectations, inverted or not
	last     Answer  // that was got, or looked at
}

// Try runs the check twice, against a service provider of its own each time: once as
// it is, and everything must hold; once with every expectation inverted, and each
// must fail. It returns nil if it is so and the check sent a request.
func Try(ctx context.Context, fresh func() Provider, check func(*Trial)) error {
	plain, inverted := &Trial{ctx: ctx}, &Trial{ctx: ctx, inverted: true}
	for _, run := range []*Trial{plain, inverted} {
		run.player = newPlayer(fresh())
		defer run.player.client.CloseIdleConnections()
		if err := run.run(check); err != nil {
			return err
		}
	}
	switch {
	case plain.sent == 0:
		return errors.New("no request was sent")
	case plain.expected == 0:
		return errors.New("nothing was expected")
	case len(plain.failures) > 0:
		return plain.failures[0]
	case len(inverted.failures) != inverted.expected || inverted.expected != plain.expected:
		return fmt.Errorf("%d expectations held, inverted %d of %d failed", plain.expected, len(inverted.failures), inverted.expected)
	}
	return nil
}

// stop is what a run panics with when it cannot go on.
type stop struct{ err error }

func (t *Trial) run(check func(*Trial)) (err error) {
	defer func() {
		switch reason := recover().(type) {
		case nil:
		case stop:
			err = reason.err
		default:
			panic(reason)
		}
	}()
	check(t)
	return nil
}

// Send makes the request, written as in a transcript, and returns the answer. It may
// be called by several goroutines as long as nothing is captured meanwhile.
func (t *Trial) Send(request string) Answer {
	r, err := parseRequest(request)
	if err != nil {
		panic(stop{err})
	}
	answer, err := t.player.send(t.ctx, r)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.failures) == 0 {
		t.last = answer
	}
	if err != nil {
		t.failures = append(t.failures, fmt.Errorf("%s %s: %w", r.Method, r.Target, err))
		return Answer{}
	}
	t.sent++
	return answer
}

// Expect compares the answer with a response, written as in a transcript.
func (t *Trial) Expect(got Answer, response string) {
	want, err := parseResponse(response)
	if err != nil {
		panic(stop{err})
	}
	before := maps.Clone(t.player.captured)
	err = t.player.captured.compare(want, got)
	t.mu.Lock() // a request of before may be on its way
	defer t.mu.Unlock()
	if err != nil {
		t.last = got
		panic(stop{err})
	}
	t.expected++
	if !t.inverted {
		return
	}
	held, err := before.vacuous(want, got)
	if err == nil && len(held) == 0 {
		t.failures = append(t.failures, errors.New("inverted"))
	}
}

// Check expects that it holds; the message says what was got and wanted.
func (t *Trial) Check(holds bool, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expected++
	if !holds {
		panic(stop{fmt.Errorf(format, args...)})
	}
	if t.inverted {
		t.failures = append(t.failures, errors.New("inverted"))
	}
}

// Name gives a value a name that requests and expectations may use.
func (t *Trial) Name(name, value string) { t.player.captured[name] = value }

// Named returns the value that was captured, or given, under the name.
func (t *Trial) Named(name string) string {
	value, ok := t.player.captured[name]
	if !ok {
		panic(stop{fmt.Errorf("{%s} has not been captured", name)})
	}
	return value
}

// Decode reads the answer's body, which is JSON, into v.
func (t *Trial) Decode(a Answer, v any) {
	if err := json.Unmarshal([]byte(a.Body), v); err != nil {
		panic(stop{fmt.Errorf("the body is not JSON: %w: %.300s", err, a.Body)})
	}
}

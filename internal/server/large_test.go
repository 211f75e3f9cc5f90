package server_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// A body is one that says when it is first read, and waits for leave to go on.
type body struct {
	text  io.Reader
	once  sync.Once
	begun chan struct{} // closed at the first reading
	leave chan struct{} // nil: at once
}

func newBody(text string, leave chan struct{}) *body {
	return &body{text: strings.NewReader(text), begun: make(chan struct{}), leave: leave}
}

func (b *body) Read(p []byte) (int, error) {
	b.once.Do(func() { close(b.begun) })
	if b.leave != nil {
		<-b.leave
	}
	return b.text.Read(p)
}

func (b *body) wasRead() bool {
	select {
	case <-b.begun:
		return true
	default:
		return false
	}
}

// upload posts a group of a tenant, whose body has the given length, -1 for in chunks.
func (w *world) upload(ctx context.Context, tenant, token string, b *body, length int64) answer {
	r := httptest.NewRequest("POST", "/t/"+tenant+"/scim/v2/Groups", b).WithContext(ctx)
	r.ContentLength = length
	r.Header.Set("Authorization", "Bearer "+token)
	recorder := httptest.NewRecorder()
	w.router.ServeHTTP(recorder, r)
	return answer{recorder.Code, recorder.Header(), recorder.Body.String()}
}

// Whoever has a token no more cannot make the server read what is large.
func TestARevokedTokenHasNoLargeBodyRead(t *testing.T) {
	w, token := open(t)
	tokens, err := w.vendor.Tokens(t.Context(), "acme")
	if err != nil || len(tokens) != 1 {
		t.Fatalf("tokens: %v %v", tokens, err)
	}
	w.scim("GET", "/Users", token, "") // the server knows the token
	if err := w.vendor.RevokeToken(t.Context(), "acme", tokens[0].ID); err != nil {
		t.Fatal(err)
	}
	for story, length := range map[string]int64{"of 64 KiB and a byte": 64<<10 + 1, "of 32 MiB": 32 << 20, "in chunks": -1} {
		b := newBody(`{"displayName":"x"}`, nil)
		w.upload(t.Context(), "acme", token, b, length).refusal(t, story, http.StatusUnauthorized, "")
		if b.wasRead() {
			t.Errorf("a body %s was read for a revoked token", story)
		}
	}
}

// Eight large bodies are in hand at once, four of one tenant. The next waits for its
// turn, no longer than its request may take; another tenant's does not wait for it, and
// a small one does not wait.
func TestLargeBodiesWaitForTheirTurn(t *testing.T) {
	w, token := open(t)
	w.tenant("globex")
	theirs := w.connect("globex", "entra", "lenient")
	leave := make(chan struct{})
	var all sync.WaitGroup
	fill := func(tenant, token string) {
		for i := range 4 {
			b := newBody(`{"displayName":"Large `+string(rune('A'+i))+`"}`, leave)
			all.Go(func() {
				if a := w.upload(context.Background(), tenant, token, b, -1); a.status != http.StatusCreated {
					t.Errorf("%s, body %d: got %d: %s", tenant, i, a.status, a.body)
				}
			})
			<-b.begun
		}
	}
	fill("acme", token)
	a := w.upload(t.Context(), "globex", theirs, newBody(`{"displayName":"Beside"}`, nil), -1)
	if a.status != http.StatusCreated {
		t.Errorf("another tenant's, beside four of one: got %d: %s", a.status, a.body)
	}
	w.waitsInVain(token, "the fifth of a tenant")
	fill("globex", theirs)
	w.waitsInVain(token, "the ninth")
	w.create("/Groups", token, `{"displayName":"Small"}`)

	patient := newBody(`{"displayName":"Patient"}`, nil)
	all.Go(func() {
		if a := w.upload(context.Background(), "acme", token, patient, -1); a.status != http.StatusCreated {
			t.Errorf("the patient one: got %d: %s", a.status, a.body)
		}
	})
	close(leave)
	all.Wait()
	for range 20 { // every place was given back
		w.upload(context.Background(), "acme", token, newBody(`{`, nil), -1).refusal(t, "another", http.StatusBadRequest, "invalidSyntax")
	}
}

// waitsInVain uploads a group of acme's for which there is no place in time.
func (w *world) waitsInVain(token, what string) {
	w.t.Helper()
	brief, cancel := context.WithTimeout(w.t.Context(), 200*time.Millisecond)
	defer cancel()
	late := newBody(`{"displayName":"Late"}`, nil)
	a := w.upload(brief, "acme", token, late, 1<<20)
	a.refusal(w.t, what, http.StatusServiceUnavailable, "")
	a.waits(w.t, what)
	if late.wasRead() {
		w.t.Errorf("%s was read", what)
	}
}

package main

import (
	"bytes"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/idpsim"
)

// Where nobody listens, the first repetition is told at once, with the reason.
func TestAPushSaysWhatItRepeats(t *testing.T) {
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	directory, err := idpsim.Load("cirque")
	if err != nil {
		t.Fatal(err)
	}
	idp, err := idpsim.New(directory, idpsim.Options{
		URL: "http://127.0.0.1:1", Persona: idpsim.Okta, SCIMURL: "http://" + nobody.Addr().String() + "/t/cirque/scim/v2", Token: "t", Backoff: time.Nanosecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer idp.Close()
	var told bytes.Buffer
	if err := (&program{errs: &told}).push(t.Context(), idp, "okta"); err == nil {
		t.Fatal("nobody listens, and it was pushed")
	}
	first, rest, _ := strings.Cut(told.String(), "\n")
	if !strings.HasPrefix(first, "repeating GET /Users?") || !strings.Contains(first, "connection refused (1 repetition so far; each request is sent up to ten times)") {
		t.Errorf("told first: %q", first)
	}
	if rest != "9 requests were repeated\n" {
		t.Errorf("told then: %q", rest)
	}
}

func TestRepetitionsAreToldEverMoreSeldom(t *testing.T) {
	var told []int
	var r repetitions
	start := time.Now()
	for second := range 20 {
		if n, tell := r.add(start.Add(time.Duration(second) * time.Second)); tell {
			told = append(told, n)
		}
	}
	if want := []int{1, 2, 4, 8, 16}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

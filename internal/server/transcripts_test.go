package server_test

import (
	"context"
	"strings"
	"testing"

	"github.com/muster-id/muster/conformance"
	"github.com/muster-id/muster/internal/store/storetest"
)

// Every transcript is played against the server over HTTP, each in a tenant of
// its own.
func TestTranscripts(t *testing.T) {
	transcripts, err := conformance.Transcripts()
	if err != nil {
		t.Fatal(err)
	}
	w := start(t, storetest.New(t))
	for _, transcript := range transcripts {
		t.Run(transcript.Name, func(t *testing.T) {
			slug := strings.ReplaceAll(transcript.Name, "/", "-")
			w.tenant(slug)
			token := w.connect(slug, "connection", profile(transcript.Name))
			if err := conformance.Play(context.Background(), w.base(slug), token, transcript); err != nil {
				t.Errorf("%s\n%v", transcript.Promise, err)
			}
		})
	}
}

// profile is how the connection of a transcript is read: what stands under
// strict/ is played to a strict connection.
func profile(name string) string {
	if strings.HasPrefix(name, "strict/") {
		return "strict"
	}
	return "lenient"
}

// The same transcripts hold on a tenant with a neighbour: the neighbour's data
// changes no answer.
func TestTranscriptsBesideANeighbour(t *testing.T) {
	w := start(t, storetest.New(t))
	w.tenant("acme")
	neighbour := w.connect("acme", "okta", "lenient")
	w.create("/Users", neighbour, `{"userName":"bjensen","externalId":"bjensen","active":true}`)
	w.create("/Groups", neighbour, `{"displayName":"Tour Guides"}`)
	transcripts, err := conformance.Transcripts()
	if err != nil {
		t.Fatal(err)
	}
	for _, transcript := range transcripts {
		if !strings.HasPrefix(transcript.Name, "rfc7644/") {
			continue
		}
		name := strings.ReplaceAll(transcript.Name, "/", "-")
		token := w.connect("acme", name, "lenient")
		if err := conformance.Play(context.Background(), w.base("acme"), token, transcript); err != nil {
			t.Errorf("%s\n%v", transcript.Promise, err)
		}
	}
}

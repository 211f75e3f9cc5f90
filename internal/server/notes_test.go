package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/conformance"
	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store/storetest"
)

// inFilters and inBodies are the deviations that lenience repairs, or ignores, in what is
// asked for and in what is sent: whoever reads a request so says so in the provisioning log.
// The text says which of the row's forms the RFC allows, so that there is nothing to say of
// them; "" means none.
var (
	inFilters = map[string]string{
		"Q24": "",
		"Q26": "",
		"Q27": "members compare by their value in the RFC too",
		"Q30": "true without quotes",
	}
	inBodies = map[string]string{
		"Q41": "",
		"Q42": "",
		"Q43": "",
		"Q44": "values of equal types",
		"Q46": "",
		"Q47": "a URN in another place, or one whose attributes are absent",
		"Q49": "an empty list of groups",
		"Q50": "",
		"Q55": "",
		"Q60": "a manager, whom nobody looks up",
		"Q64": "",
		"Q70": "",
		"Q71": "",
		"Q72": "",
		"Q73": "",
		"Q75": "",
		"Q77": "",
		"Q79": "true without quotes",
		"Q82": "an object, and to remove it",
		"Q83": "",
		"Q84": "",
		"Q85": "",
		"Q86": "what is not there is removed already",
		"Q87": "",
		"Q88": "",
		"Q91": "an object, an array",
		"Q92": "",
		"Q97": "a colon",
		"Q99": "",
	}
	// others are noted and have no step of their own: an element without any value (Q40), one
	// that is sent twice (Q81), a value right behind its operator (J57), and the core schema's
	// URN as a container (Q74).
	others = []string{"Q40", "Q74", "Q81", "J57"}
)

// Every step of a transcript that shows a deviation which lenience repairs or ignores is in
// the provisioning log with the deviation's number; and nothing else is noted there.
func TestWhatLenienceDoesIsLogged(t *testing.T) {
	owner, database := storetest.Database(t)
	c := &conforming{world: start(t, storetest.Open(t, database))}
	transcripts, err := conformance.Transcripts()
	if err != nil {
		t.Fatal(err)
	}
	noted := map[string]int{}
	for _, transcript := range transcripts {
		report := conformance.Play(t.Context(), c.provider(t, profile(transcript.Name), transcript.Needs), transcript)
		if err := c.world.store.FlushRequests(t.Context()); err != nil {
			t.Fatal(err)
		}
		log := storetest.Look(t, owner, fmt.Sprintf("tenant-%d", c.tenants))
		for i, step := range report.Steps {
			if step.Outcome != conformance.Passed || ofAnother(step.Step.Request) {
				continue
			}
			quirks := notes(t, log, step.Answer)
			logged(t, fmt.Sprintf("%s: step %d", transcript.Name, i+1), step, quirks)
			for _, quirk := range quirks {
				noted[quirk]++
			}
		}
	}
	for quirk := range allRepairs() {
		if noted[quirk] == 0 {
			t.Errorf("%s was never noted", quirk)
		}
	}
}

// ofAnother reports whether a request is in the log of another tenant, or in none: it
// fetches a token, or came from a person.
func ofAnother(r conformance.Request) bool {
	return strings.HasPrefix(r.Target, "{neighbour}") || strings.HasPrefix(r.Target, "{tokenURL}") || r.Header.Get("Authorization") == "Bearer {personToken}"
}

func allRepairs() map[string]string {
	all := maps.Clone(inFilters)
	maps.Copy(all, inBodies)
	return all
}

// logged compares the quirks that the log notes of a step with those that it shows.
func logged(t *testing.T, where string, step conformance.StepReport, quirks []string) {
	t.Helper()
	for _, quirk := range quirks {
		if _, known := allRepairs()[quirk]; !known && !slices.Contains(others, quirk) {
			t.Errorf("%s: %s is noted, which is no deviation that lenience repairs", where, quirk)
		}
	}
	if step.Answer.Status >= 300 {
		return
	}
	for _, row := range step.Step.Rows {
		repairs := inBodies
		if step.Step.Request.Method == http.MethodGet {
			repairs = inFilters
		}
		if allowed, repaired := repairs[row]; repaired && allowed == "" && !slices.Contains(quirks, row) {
			t.Errorf("%s shows %s, and the log does not say so: it notes %q", where, row, quirks)
		}
	}
}

// notes are the numbers that the provisioning log notes of the request that was so answered.
func notes(t *testing.T, log *pgx.Conn, answer conformance.Answer) (quirks []string) {
	t.Helper()
	var text *string
	err := log.QueryRow(t.Context(), `select notes::text from provisioning_requests where id = $1`, answer.Header.Get("X-Request-Id")).Scan(&text)
	if err == pgx.ErrNoRows && answer.Status == http.StatusUnauthorized {
		return nil
	}
	if err != nil {
		t.Fatalf("the request %s, answered %d: %v", answer.Header.Get("X-Request-Id"), answer.Status, err)
	}
	if text == nil {
		return nil
	}
	var all []scim.Note
	if err := json.Unmarshal([]byte(*text), &all); err != nil {
		t.Fatal(err)
	}
	for _, note := range all {
		if note.Path == "" || note.Reason == "" {
			t.Errorf("a note does not say what and why: %+v", note)
		}
		quirks = append(quirks, note.Quirk)
	}
	return quirks
}

// What the RFC writes is read by its letter on every connection: nothing is noted.
func TestTheLettersOfTheRFCAreNotLogged(t *testing.T) {
	owner, database := storetest.Database(t)
	c := &conforming{world: start(t, storetest.Open(t, database))}
	transcripts, err := conformance.Transcripts()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(transcripts, func(t *conformance.Transcript) bool { return t.Name == "rfc7644/letter" })
	for _, profile := range []string{"lenient", "strict"} {
		report := conformance.Play(t.Context(), c.provider(t, profile, nil), transcripts[i])
		if err := report.Err(); err != nil {
			t.Errorf("%s: %v", profile, err)
		}
		if err := c.world.store.FlushRequests(t.Context()); err != nil {
			t.Fatal(err)
		}
		log := storetest.Look(t, owner, fmt.Sprintf("tenant-%d", c.tenants))
		for i, step := range report.Steps {
			if quirks := notes(t, log, step.Answer); len(quirks) > 0 {
				t.Errorf("%s: step %d: %s %s: noted %q, want nothing", profile, i+1, step.Step.Request.Method, step.Step.Request.Target, quirks)
			}
		}
	}
}

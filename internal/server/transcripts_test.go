package server_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/conformance"
	"github.com/muster-id/muster/internal/store/storetest"
)

// TestConformance plays every transcript and every check to the server over HTTP, each
// in a tenant of its own, and then holds what they showed against the lists of rows.
func TestConformance(t *testing.T) {
	c := &conforming{world: start(t, storetest.New(t))}
	t.Run("transcripts", c.transcripts)
	t.Run("checks", c.checks)
	t.Run("coverage", c.coverage)
}

// conforming plays to one world and collects which rows it showed.
type conforming struct {
	world   *world
	tenants int
	covered conformance.Coverage
}

func (c *conforming) transcripts(t *testing.T) {
	all, err := conformance.Transcripts()
	if err != nil {
		t.Fatal(err)
	}
	for _, transcript := range all {
		if strings.HasPrefix(transcript.Name, "doctor/") {
			continue // TestDoctor plays them: they are about clients, not about the service provider
		}
		t.Run(transcript.Name, func(t *testing.T) {
			report := conformance.Play(t.Context(), c.provider(t, profile(transcript.Name), transcript.Needs), transcript)
			for _, row := range transcript.Rows() {
				t.Run(row, func(t *testing.T) { c.note(t, row, report.Row(row)) })
			}
			if err := report.Err(); err != nil {
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

// serverChecks show rows that take more than a provisioning client: other tenants, time,
// the database. Each plays those of one subject.
var serverChecks = []struct {
	subject string
	show    func(*testing.T, *conforming)
}{
	{"vectors", vectorRows},
	{"groups", groupRows},
	{"secrets", secretRows},
	{"clients", clientRows},
	{"entra", entraRows},
	{"tls", tlsRows},
	{"faults", faultRows},
	{"credentials", credentialRows},
	{"queries", queryRows},
	{"schemas", schemaRows},
	{"offers", offerRows},
}

func (c *conforming) checks(t *testing.T) {
	for _, check := range conformance.Checks() {
		t.Run(check.Name, func(t *testing.T) {
			c.try(t, check.Rows, "lenient", check.Needs, check.Run)
		})
	}
	for _, check := range serverChecks {
		t.Run(check.subject, func(t *testing.T) { check.show(t, c) })
	}
}

// bystanders are the actors of every check: those who cost little.
var bystanders = []string{"neighbour", "siblingToken", "strictToken"}

// Row shows the rows, "W03" or "W03 W04", by a check: against a lenient connection,
// beside the bystanders.
func (c *conforming) Row(t *testing.T, rows string, check func(*conformance.Trial)) {
	t.Helper()
	c.try(t, strings.Fields(rows), "lenient", bystanders, check)
}

// StrictRow is Row against a strict connection.
func (c *conforming) StrictRow(t *testing.T, rows string, check func(*conformance.Trial)) {
	t.Helper()
	c.try(t, strings.Fields(rows), "strict", bystanders, check)
}

// elsewhere shows rows by another world.
func (c *conforming) elsewhere(w *world, show func(*conforming)) {
	there := &conforming{world: w}
	show(there)
	for row := range there.covered.Rows() {
		c.covered.Show(row)
	}
}

// try plays the check when the first of its rows is asked for.
func (c *conforming) try(t *testing.T, rows []string, profile string, needs []string, check func(*conformance.Trial)) {
	t.Helper()
	played, err := false, errors.New("the check did not come to its end")
	for _, row := range rows {
		t.Run(row, func(t *testing.T) {
			if !played {
				played = true
				err = conformance.Try(t.Context(), func() conformance.Provider { return c.provider(t, profile, needs) }, check)
			}
			c.note(t, row, err)
		})
	}
}

func (c *conforming) note(t *testing.T, row string, err error) {
	if err != nil {
		t.Error(err)
		return
	}
	c.covered.Show(row)
}

// provider opens a tenant with a connection, and brings the actors that are needed.
func (c *conforming) provider(t *testing.T, profile string, needs []string) conformance.Provider {
	t.Helper()
	c.tenants++
	slug := fmt.Sprintf("tenant-%d", c.tenants)
	c.world.tenant(slug)
	p := conformance.Provider{
		Base: c.world.base(slug), Token: c.world.connect(slug, "connection", profile), Actors: map[string]string{},
	}
	for _, need := range needs {
		if bring, ok := actors[need]; ok {
			bring(c.world, slug, p.Actors)
		}
	}
	if slices.Contains(needs, "TestResource") {
		c.world.testResource(slug)
	}
	if len(needs) > 0 {
		offers, err := conformance.Probe(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		p.Offers = offers
	}
	return p
}

// actors are brought to a transcript, or a check, that needs them: the package conformance
// says who they are.
var actors = map[string]func(w *world, tenant string, named map[string]string){
	"neighbour": func(w *world, tenant string, named map[string]string) {
		w.tenant(tenant + "-neighbour")
		named["neighbour"] = w.base(tenant + "-neighbour")
		named["neighbourToken"] = w.connect(tenant+"-neighbour", "connection", "lenient")
	},
	"siblingToken": func(w *world, tenant string, named map[string]string) {
		named["siblingToken"] = w.connect(tenant, "sibling", "lenient")
	},
	"strictToken": func(w *world, tenant string, named map[string]string) {
		named["strictToken"] = w.connect(tenant, "strict", "strict")
	},
	"personToken": func(w *world, tenant string, named map[string]string) {
		named["personToken"] = w.person(tenant)
	},
	"tokenURL": (*world).clients,
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
		if !strings.HasPrefix(transcript.Name, "rfc7644/") || len(transcript.Needs) > 0 {
			continue
		}
		name := strings.ReplaceAll(transcript.Name, "/", "-")
		provider := conformance.Provider{Base: w.base("acme"), Token: w.connect("acme", name, "lenient")}
		if err := conformance.Play(context.Background(), provider, transcript).Err(); err != nil {
			t.Errorf("%s\n%v", transcript.Promise, err)
		}
	}
}

package conformance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// An Outcome says how a transcript, a step or a check ended.
type Outcome string

// The outcomes.
const (
	Passed     Outcome = "passed"
	Failed     Outcome = "failed"
	NotPlayed  Outcome = "not played"  // the service provider, or the run, lacks what it needs
	NotReached Outcome = "not reached" // an earlier step failed
)

// A Report says how playing a transcript went.
type Report struct {
	Transcript *Transcript
	Outcome    Outcome
	Lacking    []string // NotPlayed: what the service provider does not offer
	Steps      []StepReport
}

// A StepReport says how one step went.
type StepReport struct {
	Step    Step
	Outcome Outcome
	Answer  Answer
	Err     error    // Failed: the first difference
	Vacuous []string // what could be changed in the expectation without the answer differing from it
}

// Play sends the transcript's requests in order to the service provider and
// compares the answers, until one differs. Where a step is to show a row, the answer
// is also compared with the expectation inverted, which must differ.
func Play(ctx context.Context, provider Provider, t *Transcript) Report {
	report := Report{Transcript: t, Outcome: Passed, Lacking: provider.lacks(t.Needs)}
	if len(report.Lacking) > 0 {
		report.Outcome = NotPlayed
		return report
	}
	p := newPlayer(provider)
	defer p.client.CloseIdleConnections()
	for _, step := range t.Steps {
		played := StepReport{Step: step, Outcome: NotReached}
		if report.Outcome == Passed {
			played = p.play(ctx, step)
			report.Outcome = played.Outcome
		}
		report.Steps = append(report.Steps, played)
	}
	return report
}

// lacks returns what is needed and neither offered nor an actor.
func (provider Provider) lacks(needs []string) []string {
	var lacking []string
	for _, need := range needs {
		if _, actor := provider.Actors[need]; !actor && !slices.Contains(provider.Offers, need) {
			lacking = append(lacking, need)
		}
	}
	return lacking
}

func (p *player) play(ctx context.Context, step Step) StepReport {
	report := StepReport{Step: step, Outcome: Passed}
	before := maps.Clone(p.captured)
	report.Answer, report.Err = p.send(ctx, step.Request)
	if p.custody != nil && report.Err == nil {
		report.Answer = p.captured.withoutFurther(step, report.Answer)
	}
	if report.Err == nil {
		report.Err = p.captured.compare(step.Want, report.Answer)
	}
	if report.Err == nil && len(step.Rows) > 0 {
		report.Vacuous, report.Err = before.vacuous(step.Want, report.Answer)
	}
	if report.Err != nil {
		report.Outcome = Failed
	}
	return report
}

// vacuous names what can be changed in the expectation without the answer differing
// from it.
func (c captures) vacuous(want Response, got Answer) ([]string, error) {
	inversions, err := invert(want)
	var held []string
	for _, inversion := range inversions {
		if maps.Clone(c).compare(inversion.want, got) == nil {
			held = append(held, inversion.what)
		}
	}
	return held, err
}

// Err returns nil for a transcript that passed, else what went wrong, with the
// step, its request and what was got.
func (r Report) Err() error {
	if r.Outcome == NotPlayed {
		return fmt.Errorf("%s: not played for want of %s", r.Transcript.Name, strings.Join(r.Lacking, ", "))
	}
	for i, step := range r.Steps {
		if err := step.err(); err != nil {
			return fmt.Errorf("%s: step %d: %s %s: %w", r.Transcript.Name, i+1, step.Step.Request.Method, step.Step.Request.Target, err)
		}
	}
	return nil
}

func (s StepReport) err() error {
	switch {
	case s.Err != nil:
		return s.Err
	case s.Outcome == NotReached:
		return errors.New("not reached")
	case len(s.Vacuous) > 0:
		return fmt.Errorf("the answer also meets the inverted expectation: %s", strings.Join(s.Vacuous, ", "))
	}
	return nil
}

// Row returns nil if the transcript shows the row: every step that is to show it
// was sent and answered as expected, and not as the inverted expectation says.
func (r Report) Row(id string) error {
	if r.Outcome == NotPlayed {
		return r.Err()
	}
	shown := false
	for i, step := range r.Steps {
		if !slices.Contains(step.Step.Rows, id) {
			continue
		}
		if err := step.err(); err != nil {
			return fmt.Errorf("%s: step %d: %w", r.Transcript.Name, i+1, err)
		}
		shown = true
	}
	if !shown {
		return fmt.Errorf("%s: no step shows %s", r.Transcript.Name, id)
	}
	return nil
}

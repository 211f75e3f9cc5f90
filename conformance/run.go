package conformance

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options say what is played, and how.
type Options struct {
	// Only are beginnings of names, "rfc7644/" or "entra/life": what is played. None: everything.
	Only []string
	// Strict plays to a connection that reads the RFC to the letter: what stands under
	// strict/ and nothing else. Without it everything else is played.
	Strict bool
	// Prefix begins every name that is made: userName, displayName, externalId. Empty: one is drawn.
	Prefix string
	// Progress is told before each play, how many are done of how many; nil: nobody.
	Progress func(done, all int, name string)
}

// A Result says how a transcript or a check went.
type Result struct {
	Name    string        `json:"name"`
	Promise string        `json:"promise,omitempty"`
	Rows    []string      `json:"rows,omitempty"` // that it shows
	Outcome Outcome       `json:"outcome"`
	Lacking []string      `json:"lacking,omitempty"` // NotPlayed: what it needs, in the words of "Needs:"
	Why     string        `json:"why,omitempty"`     // NotPlayed: the same in plain words, or that the run was interrupted
	Step    int           `json:"step,omitempty"`    // Failed: of the transcript, from 1
	Request string        `json:"request,omitempty"` // Failed: as it was sent
	Answer  string        `json:"answer,omitempty"`  // Failed: status and body, as they came
	Error   string        `json:"error,omitempty"`   // Failed: the first difference, in names without the prefix
	Left    []string      `json:"left,omitempty"`    // what was made, or may have been, and could not be deleted
	Took    time.Duration `json:"took"`              // nanoseconds
}

// A Summary is a whole run.
type Summary struct {
	Base        string   `json:"base"`
	Prefix      string   `json:"prefix"` // of what was made
	Empty       bool     `json:"empty"`  // there were no users and groups of others
	Offers      []string `json:"offers"`
	Results     []Result `json:"results"`
	Interrupted int      `json:"interrupted,omitempty"` // how many results are not played because ctx ended
}

// ErrInterrupted is what Run returns where ctx ends before everything is played.
var ErrInterrupted = errors.New("interrupted")

// Count returns how many results have the outcome.
func (s Summary) Count(o Outcome) int {
	n := 0
	for _, r := range s.Results {
		if r.Outcome == o {
			n++
		}
	}
	return n
}

// Run plays transcripts and checks to the service provider, one after the other, beside
// whatever is there: what it makes begins with the prefix and is deleted after each,
// and a request that might change anything else is held back.
//
// What counts or lists everything is played only where nobody else's resources are, and
// there with the names as they are written: a prefix would be found by a filter that
// asks for a part of a name.
//
// It returns an error where the service provider cannot be asked at all. Where ctx ends
// before everything is played, the request that is on its way is given answerGrace to be
// answered, nothing else is played, what was made is deleted, and the error is
// ErrInterrupted beside the summary of what was played.
func Run(ctx context.Context, provider Provider, o Options) (Summary, error) {
	if o.Prefix == "" {
		o.Prefix = "conformance-" + randomHex() + "-"
	}
	s := Summary{Base: provider.Base, Prefix: o.Prefix}
	var err error
	if provider.Offers, err = Probe(ctx, provider); err != nil {
		return s, err
	}
	s.Offers, s.Empty = provider.Offers, slices.Contains(provider.Offers, empty)
	plays, err := o.plays()
	if err != nil {
		return s, err
	}
	written := false // something was
	for i, play := range plays {
		if o.Progress != nil {
			o.Progress(i, len(plays), play.name)
		}
		provider.custody = newCustody(o.Prefix, slices.Contains(provider.Offers, empty))
		if play.alone {
			provider.custody.prefix = "" // nobody else's names are there
		}
		result := play.timed(ctx, provider)
		s.Results = append(s.Results, result)
		if ctx.Err() != nil {
			return s.interrupt(plays[i+1:])
		}
		if len(result.Left) > 0 {
			provider.Offers = slices.DeleteFunc(slices.Clone(provider.Offers), func(offer string) bool { return offer == empty })
		}
		if written = written || provider.custody.wrote; !written && result.Outcome == Failed && provider.custody.refused != "" {
			return s, fmt.Errorf("the token may only read: POST /Users was answered %.300s; give one that may make, change and delete users and groups", provider.custody.refused)
		}
	}
	return s, nil
}

// interrupt ends the run: the rest is not played.
func (s Summary) interrupt(rest []play) (Summary, error) {
	for _, play := range rest {
		s.Results = append(s.Results, Result{Name: play.name, Outcome: NotPlayed, Why: interrupted})
	}
	for _, r := range s.Results {
		if r.Why == interrupted {
			s.Interrupted++
		}
	}
	if s.Interrupted == 0 {
		return s, nil // everything was played before
	}
	return s, ErrInterrupted
}

// timed runs the play and deletes what it made.
func (p play) timed(ctx context.Context, provider Provider) Result {
	begun := time.Now()
	result := p.run(ctx, provider)
	if result.Why == "" {
		result.Why = why(result.Lacking)
	}
	result.Left = provider.clear(ctx)
	result.Took = time.Since(begun)
	return result
}

// A play is a transcript or a check.
type play struct {
	name  string
	alone bool // it needs a service provider that holds nothing else
	run   func(context.Context, Provider) Result
}

// plays lists what the options choose.
func (o Options) plays() ([]play, error) {
	transcripts, err := Transcripts()
	if err != nil {
		return nil, err
	}
	var all []play
	for _, t := range transcripts {
		if strings.HasPrefix(t.Name, "strict/") == o.Strict && o.chosen(t.Name) {
			t.Needs = t.beside()
			all = append(all, play{t.Name, slices.Contains(t.Needs, empty), t.run})
		}
	}
	for _, c := range Checks() {
		if !o.Strict && o.chosen(c.Name) {
			all = append(all, play{c.Name, slices.Contains(c.Needs, empty), c.run})
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no transcript or check has a name that begins with %s", strings.Join(o.Only, " or "))
	}
	return all, nil
}

func (o Options) chosen(name string) bool {
	return len(o.Only) == 0 || slices.ContainsFunc(o.Only, func(beginning string) bool { return strings.HasPrefix(name, beginning) })
}

// run plays the transcript once.
func (t *Transcript) run(ctx context.Context, provider Provider) Result {
	result := Result{Name: t.Name, Promise: t.Promise, Rows: t.Rows()}
	for _, step := range t.Steps {
		provider.custody.learn(step.Request.Body)
	}
	report := Play(ctx, provider, t)
	result.Outcome, result.Lacking = report.Outcome, report.Lacking
	for i, step := range report.Steps {
		if step.Outcome == Failed {
			result.fail(i+1, step.Answer, step.Err)
		}
	}
	return result
}

// run plays the check once.
func (c Check) run(ctx context.Context, provider Provider) Result {
	result := Result{Name: c.Name, Rows: c.Rows, Outcome: Passed, Lacking: provider.lacks(c.Needs)}
	if len(result.Lacking) > 0 {
		result.Outcome = NotPlayed
		return result
	}
	trial := &Trial{ctx: ctx, player: newPlayer(provider)}
	defer trial.player.client.CloseIdleConnections()
	err := trial.run(c.Run)
	if len(trial.failures) > 0 {
		err = trial.failures[0]
	}
	if err != nil {
		result.fail(0, trial.last, err)
	}
	return result
}

// fail notes what went wrong with an answer; step is 0 for a check.
func (r *Result) fail(step int, answer Answer, err error) {
	if held := (errNotOurs{}); errors.As(err, &held) {
		r.Outcome, r.Lacking = NotPlayed, []string{empty}
		return
	}
	if errors.Is(err, ErrInterrupted) {
		r.Outcome, r.Why = NotPlayed, interrupted
		return
	}
	r.Outcome, r.Step, r.Error = Failed, step, err.Error()
	r.Request, r.Answer = answer.sent.shown(), answer.shown()
}

var (
	pinned  = regexp.MustCompile(`"totalResults"\s*:\s*\d|"Resources"\s*:\s*\[`)
	listing = regexp.MustCompile(`^(?:/[A-Za-z]+)?/?(?:\?|$)|/\.search`)
)

// beside is what the transcript needs of a service provider that others may use too.
func (t *Transcript) beside() []string {
	if t.readsAll() && !slices.Contains(t.Needs, empty) {
		return append(slices.Clone(t.Needs), empty)
	}
	return t.Needs
}

// readsAll reports whether a step pins what a list holds without naming what it asks for.
func (t *Transcript) readsAll() bool {
	given := newCustody("", false)
	for _, step := range t.Steps {
		given.learn(step.Request.Body)
	}
	return slices.ContainsFunc(t.Steps, func(step Step) bool {
		asked := strings.ToLower(step.Request.Target + step.Request.Body)
		if !listing.MatchString(step.Request.Target) || !pinned.MatchString(step.Want.Body) {
			return false
		}
		asked = strings.NewReplacer("%40", "@", "%22", `"`, "%20", " ", "+", " ").Replace(asked)
		for name := range given.names {
			if strings.Contains(asked, `"`+name) || strings.Contains(asked, "eq "+name) {
				return false
			}
		}
		return true
	})
}

// clear deletes what was made, the last first, and returns what is left. It takes at
// most clearTimeout, and clearGrace once ctx has ended.
func (provider Provider) clear(ctx context.Context) []string {
	ctx, stop := outlive(ctx, clearGrace)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, clearTimeout)
	defer cancel()
	p := newPlayer(provider)
	defer p.client.CloseIdleConnections()
	left := slices.Clone(provider.custody.lost)
	for _, target := range slices.Backward(provider.custody.made) {
		answer, err := p.patient(ctx, Request{Method: http.MethodDelete, Target: target})
		if err != nil || answer.Status >= 300 && answer.Status != http.StatusNotFound {
			left = append(left, target)
		}
	}
	return left
}

// outlive returns a context that ends when the grace is over after ctx has ended.
func outlive(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return longer, func() { stop(); cancel() }
}

const (
	answerGrace  = 5 * time.Second // for a request that is on its way when the run is interrupted
	clearGrace   = 30 * time.Second
	clearTimeout = 5 * time.Minute
	longestPause = 30 * time.Second // between a 429 and its repetition
	throttled    = 5                // times that a request is repeated
)

// patient sends a request again where the service provider asks to wait.
func (p *player) patient(ctx context.Context, r Request) (Answer, error) {
	for try := 0; ; try++ {
		answer, err := p.exchange(ctx, r)
		if err != nil || answer.Status != http.StatusTooManyRequests || try == throttled {
			return answer, err
		}
		seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
		if err != nil || seconds < 0 {
			return answer, nil
		}
		select {
		case <-ctx.Done():
			return answer, ErrInterrupted
		case <-time.After(min(time.Duration(seconds)*time.Second, longestPause)):
		}
	}
}

func randomHex() string {
	var b [4]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// countAll asks how many users and groups there are.
func countAll(ctx context.Context, provider Provider) (int, error) {
	all := 0
	for _, target := range []string{"/Users?startIndex=1&count=1", "/Groups?startIndex=1&count=1"} {
		var list struct {
			TotalResults int
			Resources    []json.RawMessage
		}
		if err := read(ctx, provider, target, &list); err != nil {
			return 0, err
		}
		all += max(list.TotalResults, len(list.Resources))
	}
	return all, nil
}

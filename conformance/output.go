package conformance

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// longestShown bounds what a report repeats of one request or answer, in bytes.
const longestShown = 4 << 10

// WriteText writes the run as people read it: what each part came to, then every
// failure with its request and its answer, then what was not played and why.
func (s Summary) WriteText(w io.Writer) error {
	var out strings.Builder
	fmt.Fprintf(&out, "%s\nnames were given the prefix %s%s\n", s.Base, s.Prefix, s.unprefixed())
	if s.Interrupted > 0 {
		fmt.Fprintf(&out, "interrupted: %d of %d were not played\n", s.Interrupted, len(s.Results))
	}
	out.WriteString("\n")
	fmt.Fprintf(&out, "%-16s %8s %8s %11s\n", "part", "passed", "failed", "not played")
	for _, part := range s.parts() {
		fmt.Fprintf(&out, "%-16s %8d %8d %11d\n", part.name, part.Count(Passed), part.Count(Failed), part.Count(NotPlayed))
	}
	fmt.Fprintf(&out, "%-16s %8d %8d %11d\n", "all", s.Count(Passed), s.Count(Failed), s.Count(NotPlayed))
	for _, r := range s.Results {
		if r.Outcome == Failed {
			r.writeFailure(&out)
		}
	}
	s.writeLacking(&out)
	for _, r := range s.Results {
		out.WriteString(r.leftBehind())
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// leftBehind names what is to be deleted by hand.
func (r Result) leftBehind() string {
	var out strings.Builder
	for _, left := range r.Left {
		fmt.Fprintf(&out, "\nleft behind by %s, delete it: %s\n", r.Name, left)
	}
	return out.String()
}

func (r Result) writeFailure(out *strings.Builder) {
	fmt.Fprintf(out, "\nFAILED %s", r.Name)
	if r.Step > 0 {
		fmt.Fprintf(out, ", step %d", r.Step)
	}
	fmt.Fprintf(out, "\n%s", indented("", r.Promise))
	if len(r.Rows) > 0 {
		fmt.Fprintf(out, "  shows %s\n", strings.Join(r.Rows, " "))
	}
	out.WriteString(indented("", r.Error))
	if r.Step == 0 && r.Request != "" {
		out.WriteString("  the request that this is about, or the last:\n")
	}
	out.WriteString(indented("> ", r.Request))
	out.WriteString(indented("< ", r.Answer))
}

func indented(mark, text string) string {
	if text == "" {
		return ""
	}
	if len(text) > longestShown {
		text = strings.ToValidUTF8(text[:longestShown], "") + " …"
	}
	return "  " + mark + strings.ReplaceAll(text, "\n", "\n  "+mark) + "\n"
}

// unprefixed says what else was done with names.
func (s Summary) unprefixed() string {
	if s.Empty {
		return ", but not where everything is counted or listed"
	}
	return ""
}

// writeLacking says once for each reason what was not played.
func (s Summary) writeLacking(out *strings.Builder) {
	lacking := map[string][]string{}
	var order []string
	for _, r := range s.Results {
		if r.Why == "" {
			continue
		}
		if lacking[r.Why] == nil {
			order = append(order, r.Why)
		}
		lacking[r.Why] = append(lacking[r.Why], r.Name)
	}
	for _, why := range order {
		fmt.Fprintf(out, "\nnot played (%d): %s\n  %s\n", len(lacking[why]), why, strings.Join(lacking[why], ", "))
	}
}

// parts are the results by the folder of their names.
type part struct {
	name string
	Summary
}

func (s Summary) parts() []part {
	var parts []part
	at := map[string]int{}
	for _, r := range s.Results {
		name, _, _ := strings.Cut(r.Name, "/")
		i, known := at[name]
		if !known {
			i = len(parts)
			at[name], parts = i, append(parts, part{name: name})
		}
		parts[i].Results = append(parts[i].Results, r)
	}
	return parts
}

// The JUnit form, as build servers read it.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Seconds  string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Seconds string        `xml:"time,attr"`
		Failure *junitMessage `xml:"failure"`
		Skipped *junitMessage `xml:"skipped"`
		Left    string        `xml:"system-err,omitempty"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes the run as JUnit XML: a suite for each part.
func (s Summary) WriteJUnit(w io.Writer) error {
	var all junitSuites
	for _, part := range s.parts() {
		suite := junitSuite{Name: part.name, Tests: len(part.Results), Failures: part.Count(Failed), Skipped: part.Count(NotPlayed)}
		var took time.Duration
		for _, r := range part.Results {
			suite.Cases = append(suite.Cases, r.junit())
			took += r.Took
		}
		suite.Seconds = seconds(took)
		all.Suites = append(all.Suites, suite)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (r Result) junit() junitCase {
	class, name, _ := strings.Cut(r.Name, "/")
	c := junitCase{Class: class, Name: name, Seconds: seconds(r.Took), Left: r.leftBehind()}
	switch r.Outcome {
	case Failed:
		var text strings.Builder
		r.writeFailure(&text)
		c.Failure = &junitMessage{Message: r.Error, Text: text.String()}
	case NotPlayed:
		c.Skipped = &junitMessage{Message: r.Why}
	}
	return c
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

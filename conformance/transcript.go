package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/tools/txtar"
)

// A Transcript is a promise and the exchanges that show it.
type Transcript struct {
	Name    string   // "entra/manager"
	Promise string   // what is shown, and the section or deviation it stands for
	Needs   []string // features and actors without which it cannot be played
	Steps   []Step
}

// Rows returns the rows that the transcript shows, each once, in the order of its steps.
func (t *Transcript) Rows() []string {
	var rows []string
	for _, step := range t.Steps {
		for _, row := range step.Rows {
			if !slices.Contains(rows, row) {
				rows = append(rows, row)
			}
		}
	}
	return rows
}

// A Step is one request and the answer that must follow.
type Step struct {
	Rows    []string // that it shows; none: it sets the scene
	Request Request
	Want    Response
}

// A Request is sent as it is written, after its {captures} are filled in. The
// bearer token, Accept and Content-Type are added unless Header names them; a
// header with an empty value is not sent at all.
type Request struct {
	Method string
	Target string // relative to the base URL, or to that of another actor; with its query
	Header http.Header
	Body   string
}

// A Response is a pattern. Header and Body may hold {captures}: the first
// occurrence takes whatever stands there, every later one must equal it.
type Response struct {
	Status int
	Header http.Header
	Body   string // a JSON pattern, "" for an empty body, "..." for any
}

// Parse reads a transcript in txtar form; doc.go says how it is written.
func Parse(name string, text []byte) (*Transcript, error) {
	archive := txtar.Parse(text)
	t := &Transcript{Name: name}
	t.Promise, t.Needs = needs(string(archive.Comment))
	if t.Promise == "" {
		return nil, fmt.Errorf("%s: a transcript begins with its promise", name)
	}
	if len(archive.Files) == 0 || len(archive.Files)%2 != 0 {
		return nil, fmt.Errorf("%s: requests and responses come in pairs", name)
	}
	for i := 0; i < len(archive.Files); i += 2 {
		step, err := parseStep(archive.Files[i], archive.Files[i+1])
		if err != nil {
			return nil, fmt.Errorf("%s: step %d: %w", name, i/2+1, err)
		}
		t.Steps = append(t.Steps, step)
	}
	return t, nil
}

// needs takes the line "Needs: bulk, neighbour" out of a promise.
func needs(comment string) (promise string, needed []string) {
	var lines []string
	for line := range strings.Lines(comment) {
		list, found := strings.CutPrefix(line, "Needs:")
		if !found {
			lines = append(lines, line)
			continue
		}
		for _, name := range strings.Split(list, ",") {
			needed = append(needed, strings.TrimSpace(name))
		}
	}
	return strings.TrimSpace(strings.Join(lines, "")), needed
}

func parseStep(request, response txtar.File) (step Step, err error) {
	title, tags, _ := strings.Cut(request.Name, " ")
	if title != "request" || response.Name != "response" {
		return Step{}, fmt.Errorf("sections %q and %q, want request and response", request.Name, response.Name)
	}
	step.Rows = strings.Fields(tags)
	for _, row := range step.Rows {
		if !rowID.MatchString(row) {
			return Step{}, fmt.Errorf("%q is not the id of a row", row)
		}
	}
	if step.Request, err = parseRequest(string(request.Data)); err != nil {
		return Step{}, err
	}
	step.Want, err = parseResponse(string(response.Data))
	return step, err
}

func parseRequest(text string) (Request, error) {
	line, header, body := split(text)
	method, target, ok := strings.Cut(line, " ")
	if !ok {
		return Request{}, fmt.Errorf("request line %q, want a method and a target", line)
	}
	return Request{Method: method, Target: target, Header: header, Body: body}, nil
}

func parseResponse(text string) (Response, error) {
	line, header, body := split(text)
	status, err := strconv.Atoi(line)
	if err != nil {
		return Response{}, fmt.Errorf("response line %q, want a status", line)
	}
	if body != "" && body != anything && !json.Valid([]byte(body)) {
		return Response{}, fmt.Errorf("the pattern is not JSON: %s", body)
	}
	return Response{Status: status, Header: header, Body: body}, nil
}

var headerLine = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*):[ \t]*(.*)$`)

// split parts a message into its first line, its header lines and its body.
func split(message string) (first string, header http.Header, body string) {
	lines := strings.Split(strings.TrimSpace(message), "\n")
	header = http.Header{}
	rest := lines[1:]
	for len(rest) > 0 {
		field := headerLine.FindStringSubmatch(rest[0])
		if field == nil {
			break
		}
		header.Add(field[1], field[2])
		rest = rest[1:]
	}
	return strings.TrimSpace(lines[0]), header, strings.TrimSpace(strings.Join(rest, "\n"))
}

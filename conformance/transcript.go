package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/tools/txtar"
)

// A Transcript is a promise and the exchanges that show it.
type Transcript struct {
	Name    string // "entra/manager"
	Promise string // what is shown, and the section or deviation it stands for
	Steps   []Step
}

// A Step is one request and the answer that must follow.
type Step struct {
	Request Request
	Want    Response
}

// A Request is sent as it is written, after its {captures} are filled in. The
// bearer token, Accept and Content-Type are added unless Header names them; a
// header with an empty value is not sent at all.
type Request struct {
	Method string
	Target string // relative to the base URL, with its query
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

// Parse reads a transcript in txtar form: the promise, then sections called
// request and response in turn.
//
// A request is a line with method and target, header lines, and a body. A
// response is a line with the status, header lines, and a JSON pattern, in
// which "..." as a member means that others may follow, as the last element that
// more may follow, and as a value that any value will do.
func Parse(name string, text []byte) (*Transcript, error) {
	archive := txtar.Parse(text)
	t := &Transcript{Name: name, Promise: strings.TrimSpace(string(archive.Comment))}
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

func parseStep(request, response txtar.File) (Step, error) {
	if request.Name != "request" || response.Name != "response" {
		return Step{}, fmt.Errorf("sections %q and %q, want request and response", request.Name, response.Name)
	}
	line, header, body := split(string(request.Data))
	method, target, ok := strings.Cut(line, " ")
	if !ok {
		return Step{}, fmt.Errorf("request line %q, want a method and a target", line)
	}
	step := Step{Request: Request{Method: method, Target: target, Header: header, Body: body}}

	line, header, body = split(string(response.Data))
	status, err := strconv.Atoi(line)
	if err != nil {
		return Step{}, fmt.Errorf("response line %q, want a status", line)
	}
	if body != "" && body != anything && !json.Valid([]byte(body)) {
		return Step{}, fmt.Errorf("the pattern is not JSON: %s", body)
	}
	step.Want = Response{Status: status, Header: header, Body: body}
	return step, nil
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

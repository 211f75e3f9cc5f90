package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// A custody is what keeps a run on a live service provider apart from what is there
// already: everything that is made gets a name that begins with the prefix, only what
// was made is changed, and it is known what has to be deleted in the end.
//
// Requests are renamed on their way out, answers on their way in, so that transcripts
// and checks see the names that they wrote.
type custody struct {
	prefix string
	empty  bool // nobody else's resources are there

	mu    sync.Mutex          // of what follows: a check may send in parallel
	names map[string]bool     // in lower case, as they stand in JSON: what is to be renamed
	made  []string            // targets of what was made and not deleted since: "/Users/2819"
	ours  map[string]struct{} // ids of what was made, or of nobody
	lost  []string            // what may have been made, by requests that were not answered

	wrote   bool   // something was made
	refused string // the first 403 for a user that was to be made with the run's own token
}

func newCustody(prefix string, empty bool) *custody {
	return &custody{prefix: prefix, empty: empty, names: map[string]bool{}, ours: map[string]struct{}{}}
}

// naming finds the names that a body gives: userName, displayName and externalId, also
// as the path of an operation.
var naming = regexp.MustCompile(`(?i)"(?:username|displayname|externalid)"\s*:\s*"((?:[^"\\]|\\.)+)"` +
	`|"path"\s*:\s*"(?:username|displayname|externalid)"\s*,\s*"value"\s*:\s*"((?:[^"\\]|\\.)+)"` +
	`|"value"\s*:\s*"((?:[^"\\]|\\.)+)"\s*,\s*"path"\s*:\s*"(?:username|displayname|externalid)"`)

// learn notes the names that a body gives to what it makes or changes.
func (c *custody) learn(body string) {
	for _, found := range naming.FindAllStringSubmatch(body, -1) {
		c.names[strings.ToLower(found[1]+found[2]+found[3])] = true
	}
}

// quoted finds the strings of JSON; inTarget those of a filter in a query, and its bare
// words; comparison what a name is compared with.
var (
	quoted     = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	inTarget   = regexp.MustCompile(`(?i)("|%22)((?:[^"%&]|%[013-9a-f][0-9a-f]|%2[013-9a-f])+)("|%22)|(eq(?: |\+|%20))([^"%& ()]+)`)
	comparison = regexp.MustCompile(`(?i)((?:username|displayname|externalid)(?: |\+|%20)(?:sw|gt|ge|lt|le)(?: |\+|%20)\\?(?:"|%22))`)
)

// renameBody puts the prefix before every string that is a name, and before what names
// are compared with.
func (c *custody) renameBody(body string) string {
	if c.prefix == "" {
		return body
	}
	body = comparison.ReplaceAllString(body, "${1}"+c.prefix)
	var out strings.Builder
	key, rest := "", body
	for {
		at := quoted.FindStringIndex(rest)
		if at == nil {
			return out.String() + rest
		}
		token, after := rest[at[0]+1:at[1]-1], rest[at[1]:]
		out.WriteString(rest[:at[0]])
		switch isKey := strings.HasPrefix(strings.TrimLeft(after, " \t\r\n"), ":"); {
		case isKey:
			key = token
		case c.names[strings.ToLower(token)] && !slices.Contains(structural, key):
			token = c.prefix + token
		default:
			token = c.renameEscaped(token)
		}
		out.WriteString(`"` + token + `"`)
		rest = after
	}
}

// structural are the members whose values name no resource.
var structural = []string{"path", "op", "method", "bulkId", "schemas", "type"}

// escaped finds the strings of a filter that stands in a string.
var escaped = regexp.MustCompile(`\\"((?:[^"\\]|\\[^"])*)\\"`)

func (c *custody) renameEscaped(text string) string {
	return escaped.ReplaceAllStringFunc(text, func(token string) string {
		if name := token[2 : len(token)-2]; c.names[strings.ToLower(name)] {
			return `\"` + c.prefix + name + `\"`
		}
		return token
	})
}

// renameTarget is renameBody for the query of a target.
func (c *custody) renameTarget(target string) string {
	path, query, found := strings.Cut(target, "?")
	if c.prefix == "" || !found {
		return target
	}
	query = comparison.ReplaceAllString(query, "${1}"+c.prefix)
	query = inTarget.ReplaceAllStringFunc(query, func(token string) string {
		parts := inTarget.FindStringSubmatch(token)
		open, name, end := parts[1]+parts[4], parts[2]+parts[5], parts[3]
		if plain, err := url.QueryUnescape(name); c.names[strings.ToLower(name)] || err == nil && c.names[strings.ToLower(plain)] {
			return open + c.prefix + name + end
		}
		return token
	})
	return path + "?" + query
}

// restore takes the prefix out of what came back.
func (c *custody) restore(text string) string {
	if c.prefix == "" {
		return text
	}
	return strings.ReplaceAll(text, c.prefix, "")
}

// errNotOurs: a request was held back.
type errNotOurs struct{ method, target string }

func (e errNotOurs) Error() string {
	return fmt.Sprintf("held back: %s %s might change what this run has not made", e.method, e.target)
}

// send renames the request, sends it where it may be sent, and restores the answer.
func (c *custody) send(r Request, exchange func(Request) (Answer, error)) (Answer, error) {
	r, err := c.prepare(r)
	if err != nil {
		return Answer{sent: r}, err
	}
	answer, err := exchange(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	if answer.lost && r.Method == http.MethodPost {
		c.lost = append(c.lost, fmt.Sprintf("what POST %s made, if it did, which was not answered: %.200s", r.Target, r.Body))
	}
	if err != nil {
		return answer, err
	}
	c.note(r.Method, r.Target, answer)
	answer.Body = c.restore(answer.Body)
	for _, values := range answer.Header {
		for i := range values {
			values[i] = c.restore(values[i])
		}
	}
	return answer, nil
}

func (c *custody) prepare(r Request) (Request, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.learn(r.Body)
	if err := c.permit(r.Method, r.Target, r.Body); err != nil {
		return r, err
	}
	r.Target, r.Body = c.renameTarget(r.Target), c.renameBody(r.Body)
	return r, nil
}

// permit refuses what might change a resource that the run has not made.
func (c *custody) permit(method, target, body string) error {
	path, _, _ := strings.Cut(target, "?")
	last := path[strings.LastIndex(strings.TrimSuffix(path, "/"), "/")+1:]
	switch {
	case method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions:
		return nil
	case c.empty:
		return nil
	case strings.EqualFold(strings.TrimSuffix(last, "/"), "Bulk") && method == http.MethodPost:
		return c.permitBulk(body)
	case strings.EqualFold(last, "Me"):
		return errNotOurs{method, target}
	case method == http.MethodPost:
		return nil
	}
	if _, ours := c.ours[last]; !ours {
		return errNotOurs{method, target}
	}
	return nil
}

// permitBulk looks at each operation. A body that is no JSON changes nothing.
func (c *custody) permitBulk(body string) error {
	var bulk struct {
		Operations []struct{ Method, Path string }
	}
	if json.Unmarshal([]byte(body), &bulk) != nil {
		return nil
	}
	for _, operation := range bulk.Operations {
		if strings.Contains(operation.Path, "bulkId:") {
			continue
		}
		if err := c.permit(strings.ToUpper(operation.Method), operation.Path, ""); err != nil {
			return err
		}
	}
	return nil
}

// note remembers what a request has made, and forgets what it has deleted.
func (c *custody) note(method, target string, answer Answer) {
	path, _, _ := strings.Cut(target, "?")
	switch {
	case method == http.MethodDelete && answer.Status == http.StatusNoContent:
		c.made = slices.DeleteFunc(c.made, func(made string) bool { return sameResource(made, path) })
	case method == http.MethodPost && strings.HasSuffix(strings.TrimSuffix(path, "/"), "/Bulk"):
		c.noteBulk(answer)
	case method == http.MethodPost && path == "/Users" && answer.Status == http.StatusForbidden:
		if c.refused == "" && answer.sent.Header["Authorization"] == nil {
			c.refused = strings.ReplaceAll(answer.shown(), "\n", " ")
		}
	case method == http.MethodPost && answer.Status == http.StatusCreated:
		c.wrote = true
		var resource struct{ ID string }
		if json.Unmarshal([]byte(answer.Body), &resource) == nil && resource.ID != "" {
			c.keep(strings.TrimSuffix(path, "/") + "/" + resource.ID)
		} else {
			c.keep(answer.Header.Get("Location"))
		}
	}
}

func (c *custody) noteBulk(answer Answer) {
	var bulk struct {
		Operations []struct{ Method, Location string }
	}
	if json.Unmarshal([]byte(answer.Body), &bulk) != nil {
		return
	}
	for _, operation := range bulk.Operations {
		if strings.EqualFold(operation.Method, http.MethodPost) {
			c.keep(operation.Location)
		}
	}
}

// keep remembers the resource at a target or a location.
func (c *custody) keep(target string) {
	if target == "" {
		return
	}
	c.ours[target[strings.LastIndex(target, "/")+1:]] = struct{}{}
	if !slices.ContainsFunc(c.made, func(made string) bool { return sameResource(made, target) }) {
		c.made = append(c.made, target)
	}
}

func sameResource(a, b string) bool {
	return a[strings.LastIndex(a, "/")+1:] == b[strings.LastIndex(b, "/")+1:]
}

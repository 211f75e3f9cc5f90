package idpsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serviceProvider is as much of a SCIM server as an IdP needs: it keeps what it is sent,
// finds by equality, and writes down every request. before, if set, may answer instead.
type serviceProvider struct {
	*httptest.Server
	before func(w http.ResponseWriter, r *http.Request) (answered bool)

	mu      sync.Mutex
	users   []map[string]any
	groups  []map[string]any
	members map[string][]string // group id → user ids
	log     bytes.Buffer
	headers []http.Header
}

func newServiceProvider(t *testing.T) *serviceProvider {
	t.Helper()
	sp := &serviceProvider{members: map[string][]string{}}
	sp.Server = httptest.NewServer(sp)
	t.Cleanup(sp.Close)
	return sp
}

var randomGUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

func (sp *serviceProvider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if sp.before != nil && sp.before(w, r) {
		return
	}
	body, _ := io.ReadAll(r.Body)
	sp.mu.Lock()
	defer sp.mu.Unlock()
	sp.headers = append(sp.headers, r.Header.Clone())
	fmt.Fprintf(&sp.log, "%s %s\n", r.Method, randomGUID.ReplaceAllString(r.URL.RequestURI(), "{random}"))
	if len(body) > 0 {
		fmt.Fprintf(&sp.log, "%s\n", body)
	}
	status, answer := sp.answer(r, body)
	w.Header().Set("Content-Type", "application/scim+json")
	w.WriteHeader(status)
	if answer != nil {
		json.NewEncoder(w).Encode(answer)
	}
}

// transcript returns the requests since the last call.
func (sp *serviceProvider) transcript() string {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	defer sp.log.Reset()
	return sp.log.String()
}

// user returns the user of that nickname at troupe.example.
func (sp *serviceProvider) user(nickname string) map[string]any {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	for _, user := range sp.users {
		if user["userName"] == nickname+"@troupe.example" {
			return user
		}
	}
	return nil
}

func (sp *serviceProvider) answer(r *http.Request, body []byte) (int, any) {
	kind, id, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/scim/v2/"), "/")
	resources := map[string]*[]map[string]any{"Users": &sp.users, "Groups": &sp.groups}[kind]
	if resources == nil {
		return http.StatusNotFound, nil
	}
	var sent map[string]any
	if len(body) > 0 && json.Unmarshal(body, &sent) != nil {
		return http.StatusBadRequest, nil
	}
	if id == "" && r.Method == http.MethodGet {
		return http.StatusOK, find(*resources, r)
	}
	if r.Method == http.MethodPost {
		return create(kind, resources, sent)
	}
	at := slices.IndexFunc(*resources, func(held map[string]any) bool { return held["id"] == id })
	if at < 0 {
		return http.StatusNotFound, nil
	}
	switch r.Method {
	case http.MethodPut:
		sent["id"] = id
		(*resources)[at] = sent
	case http.MethodPatch:
		sp.patch((*resources)[at], sent)
	case http.MethodDelete:
		*resources = slices.Delete(*resources, at, at+1)
		return http.StatusNoContent, nil
	}
	if kind == "Groups" && r.Method == http.MethodPatch {
		return http.StatusNoContent, nil
	}
	return http.StatusOK, (*resources)[at]
}

var equality = regexp.MustCompile(`^(\w+) eq "(.*)"$`)

func find(resources []map[string]any, r *http.Request) any {
	found := []map[string]any{}
	query := r.URL.Query()
	match := equality.FindStringSubmatch(strings.ReplaceAll(query.Get("filter"), `\"`, `"`))
	for _, resource := range resources {
		if match == nil || strings.EqualFold(fmt.Sprint(resource[match[1]]), match[2]) {
			found = append(found, resource)
		}
	}
	total := len(found)
	start, _ := strconv.Atoi(query.Get("startIndex"))
	start = min(max(start, 1), total+1)
	found = found[start-1:]
	if count, err := strconv.Atoi(query.Get("count")); err == nil {
		found = found[:min(count, len(found))]
	}
	return map[string]any{"totalResults": total, "startIndex": start, "itemsPerPage": len(found), "Resources": found}
}

func create(kind string, resources *[]map[string]any, sent map[string]any) (int, any) {
	unique := map[string]string{"Users": "userName", "Groups": "displayName"}[kind]
	for _, held := range *resources {
		if strings.EqualFold(fmt.Sprint(held[unique]), fmt.Sprint(sent[unique])) {
			return http.StatusConflict, map[string]any{"scimType": "uniqueness", "detail": unique + " is taken"}
		}
	}
	sent["id"] = fmt.Sprintf("%s-%d", strings.ToLower(strings.TrimSuffix(kind, "s")), len(*resources)+1)
	sent["meta"] = map[string]any{"resourceType": strings.TrimSuffix(kind, "s")}
	delete(sent, "password")
	*resources = append(*resources, sent)
	return http.StatusCreated, sent
}

// patch applies just what the personas send.
func (sp *serviceProvider) patch(held, body map[string]any) {
	for _, each := range body["Operations"].([]any) {
		operation := each.(map[string]any)
		path, _ := operation["path"].(string)
		if path == "members" || strings.HasPrefix(path, "members[") {
			sp.patchMembers(held["id"].(string), operation)
			continue
		}
		values, pathless := operation["value"].(map[string]any)
		if !pathless {
			values = map[string]any{path: operation["value"]}
		}
		for name, value := range values {
			set(held, name, value)
		}
	}
}

func set(held map[string]any, path string, value any) {
	attribute, extended := strings.CutPrefix(path, enterpriseSchema+":")
	switch {
	case path == "active":
		held["active"] = strings.EqualFold(fmt.Sprint(value), "true")
	case extended && attribute == "manager":
		held[enterpriseSchema].(map[string]any)["manager"] = map[string]any{"value": value}
	case extended:
		held[enterpriseSchema].(map[string]any)[attribute] = value
	case strings.HasPrefix(path, "emails["):
		held["emails"] = []any{map[string]any{"type": "work", "primary": true, "value": value}}
	case strings.HasPrefix(path, "name."):
		held["name"].(map[string]any)[strings.TrimPrefix(path, "name.")] = value
	case path != "id":
		held[path] = value
	}
}

var oneMember = regexp.MustCompile(`^members\[value eq "(.*)"\]$`)

func (sp *serviceProvider) patchMembers(group string, operation map[string]any) {
	var ids []string
	if match := oneMember.FindStringSubmatch(operation["path"].(string)); match != nil {
		ids = match[1:]
	}
	if values, ok := operation["value"].([]any); ok {
		for _, value := range values {
			ids = append(ids, value.(map[string]any)["value"].(string))
		}
	}
	kept := slices.DeleteFunc(sp.members[group], func(id string) bool { return slices.Contains(ids, id) })
	switch strings.ToLower(operation["op"].(string)) {
	case "add":
		kept = append(kept, ids...)
	case "replace":
		kept = ids
	}
	sp.members[group] = kept
}

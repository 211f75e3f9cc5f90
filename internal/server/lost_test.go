package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/muster-id/muster/internal/store/storetest"
)

// 32 writers at two server processes add members to one group, each a few at a
// time, and take some of their own out again. Every acknowledged change is
// there, the group's version counts them all, and the roles follow.
func TestNoMemberOfAGroupIsLost(t *testing.T) {
	c := openCircus(t)
	const writers, each = 32, 8
	var wg sync.WaitGroup
	want, changes := make([][]string, writers), atomic.Int64{}
	for w := range writers {
		wg.Go(func() {
			ids := make([]string, each)
			for n := range each {
				ids[n] = c.post("/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"w%d-%d@ringling.example"}`, w, n))
				c.patchMembers("add", ids[n])
				changes.Add(1)
			}
			c.patchMembers("remove", ids[w%each])
			changes.Add(1)
			want[w] = slices.Delete(ids, w%each, w%each+1)
		})
	}
	wg.Wait()
	a := c.scim("GET", "/Groups/"+c.group, "", http.StatusOK)
	var group struct {
		Members []struct{ Value string }
		Meta    struct{ Version string }
	}
	if err := json.Unmarshal([]byte(a.body), &group); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range group.Members {
		got = append(got, m.Value)
	}
	all := slices.Concat(want...)
	slices.Sort(got)
	slices.Sort(all)
	if !slices.Equal(got, all) {
		t.Errorf("the group has %d members, acknowledged were %d", len(got), len(all))
	}
	if version := fmt.Sprintf(`W/"%d"`, 1+changes.Load()); group.Meta.Version != version {
		t.Errorf("the group's version is %s, want %s", group.Meta.Version, version)
	}
	storetest.Audit(t, c.owner, "ringling", storetest.Grants{Groups: map[string]string{"Artists": "timesheet.viewer"}})
}

func (c *circus) patchMembers(op string, ids ...string) {
	values := make([]string, len(ids))
	for i, id := range ids {
		values[i] = `{"value":"` + id + `"}`
	}
	c.scim("PATCH", "/Groups/"+c.group, patchOf(fmt.Sprintf(`{"op":%q,"path":"members","value":[%s]}`, op, strings.Join(values, ","))), http.StatusNoContent)
}

// Writers that each patch another attribute of one user do not undo one another.
func TestNoAttributeOfAUserIsLost(t *testing.T) {
	c := openCircus(t)
	id := c.post("/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"jamie@ringling.example"}`)
	attributes := []string{"displayName", "nickName", "profileUrl", "title", "userType", "preferredLanguage", "locale", "timezone",
		"name.givenName", "name.familyName", "name.middleName", "name.honorificPrefix",
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:division",
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:costCenter",
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber"}
	const each = 12
	value := func(attribute string, n int) string {
		if attribute == "profileUrl" {
			return fmt.Sprintf("https://ringling.example/%d", n)
		}
		return fmt.Sprintf("%c-%d", 'a'+n%26, n)
	}
	var wg sync.WaitGroup
	for _, attribute := range attributes {
		wg.Go(func() {
			for n := range each {
				c.scim("PATCH", "/Users/"+id, patchOf(fmt.Sprintf(`{"op":"replace","path":%q,"value":%q}`, attribute, value(attribute, n))), http.StatusOK)
			}
		})
	}
	wg.Wait()
	a := c.scim("GET", "/Users/"+id, "", http.StatusOK)
	var user map[string]any
	if err := json.Unmarshal([]byte(a.body), &user); err != nil {
		t.Fatal(err)
	}
	for _, attribute := range attributes {
		if got, want := valueAt(user, attribute), value(attribute, each-1); got != want {
			t.Errorf("%s is %v, want %v", attribute, got, want)
		}
	}
	if got, want := valueAt(user, "meta.version"), fmt.Sprintf(`W/"%d"`, 1+each*len(attributes)); got != want {
		t.Errorf("the user's version is %v, want %v", got, want)
	}
}

// valueAt reads an attribute, a sub-attribute or one of an extension.
func valueAt(resource map[string]any, path string) any {
	if urn, name, found := strings.Cut(path, ":User:"); found {
		extension, _ := resource[urn+":User"].(map[string]any)
		return extension[name]
	}
	if outer, inner, found := strings.Cut(path, "."); found {
		parts, _ := resource[outer].(map[string]any)
		return parts[inner]
	}
	return resource[path]
}

// Of many who create one name in different letter case, one wins, and the others
// are told that it is taken.
func TestOneWinnerPerName(t *testing.T) {
	c := openCircus(t)
	const names, writers = 8, 16
	for _, kind := range []struct{ path, attribute, schema string }{{"/Users", "userName", "User"}, {"/Groups", "displayName", "Group"}} {
		for n := range names {
			var won, lost atomic.Int64
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					name := caseOf(fmt.Sprintf("straße-%d", n), w)
					a := c.send("POST", kind.path, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:%s"],%q:%q}`, kind.schema, kind.attribute, name))
					switch {
					case a.status == http.StatusCreated:
						won.Add(1)
					case a.status == http.StatusConflict && strings.Contains(a.body, "uniqueness"):
						lost.Add(1)
					default:
						t.Errorf("POST %s %s: got %d: %s", kind.path, name, a.status, a.body)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 || lost.Load() != writers-1 {
				t.Errorf("%s %d: %d won and %d lost", kind.attribute, n, won.Load(), lost.Load())
			}
		}
	}
}

// caseOf writes s with some letters in capitals, as the bits of n say.
func caseOf(s string, n int) string {
	letters := []rune(s)
	for i, letter := range letters {
		if letter < 'z' && n>>(i%4)&1 == 1 {
			letters[i] = []rune(strings.ToUpper(string(letter)))[0]
		}
	}
	return string(letters)
}

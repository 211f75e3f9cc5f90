package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/muster-id/muster/conformance"
)

// vectorRows replay over HTTP what package scim holds of vectors: filters that other
// implementations test with, and PATCH requests with the resource before and after.
func vectorRows(t *testing.T, c *conforming) {
	c.StrictRow(t, "M24", filtersOfOthers(t))
	c.Row(t, "J57", patchesWithResults(t, "lenient"))
	c.StrictRow(t, "J57", patchesWithResults(t, "strict"))
}

// filtersOfOthers sends every filter of the vectors. Those that RFC 7644 Figure 1 does
// not allow are refused; the others are answered, or refused for what they ask for
// (an attribute that a User does not have), never for how they are written.
func filtersOfOthers(t *testing.T) func(*conformance.Trial) {
	text, err := os.ReadFile("../scim/testdata/filter-parse.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct{ Filter, RFC7644 string }
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return func(trial *conformance.Trial) {
		answered := 0
		for _, vector := range file.Vectors {
			a := trial.Send("GET /Users?filter=" + url.QueryEscape(vector.Filter))
			refused := a.Status == 400 && strings.Contains(a.Body, `"scimType":"invalidFilter"`)
			misread := refused && strings.Contains(a.Body, `"detail":"filter, character `)
			if vector.RFC7644 == "invalid" {
				trial.Check(refused, "%s: got %d, want invalidFilter: %.300s", vector.Filter, a.Status, a.Body)
				continue
			}
			trial.Check(a.Status == 200 || refused && !misread, "%s: got %d: %.300s", vector.Filter, a.Status, a.Body)
			if a.Status == 200 {
				answered++
			}
		}
		trial.Check(len(file.Vectors) == 447 && answered > 150, "%d vectors, %d answered", len(file.Vectors), answered)
	}
}

// patchVector is a user, a PATCH, and what each profile makes of it: the user, "unchanged",
// or "400 scimType".
type patchVector struct {
	story, before, patch string
	result               map[string]string
}

// patchVectors reads the vectors about users: testdata/patch of package scim says what
// the sections mean.
func patchVectors(t *testing.T) []patchVector {
	t.Helper()
	files, err := filepath.Glob("../scim/testdata/patch/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var all []patchVector
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		before := ""
		for _, section := range archive.Files {
			text := strings.TrimSpace(string(section.Data))
			word, rest, _ := strings.Cut(section.Name, " ")
			switch {
			case word == "before":
				before = ""
				if rest == "User" {
					before = text
				}
			case before == "":
			case word == "patch":
				all = append(all, patchVector{story: filepath.Base(file) + ": " + rest, before: before, patch: text, result: map[string]string{}})
			case word == "both":
				all[len(all)-1].result = map[string]string{"lenient": text, "strict": text}
			case word == "lenient" || word == "strict":
				all[len(all)-1].result[word] = text
			}
		}
	}
	return all
}

func patchesWithResults(t *testing.T, profile string) func(*conformance.Trial) {
	vectors := patchVectors(t)
	return func(trial *conformance.Trial) {
		trial.Check(len(vectors) >= 114, "%d vectors", len(vectors))
		for _, vector := range vectors {
			vector.play(trial, profile)
		}
	}
}

const (
	userSchema  = "urn:ietf:params:scim:schemas:core:2.0:User"
	patchSchema = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
)

// play makes the user, patches it, reads it and deletes it again.
func (v patchVector) play(trial *conformance.Trial, profile string) {
	before := attributes(trial, v.before)
	before["schemas"] = []string{userSchema}
	body, _ := json.Marshal(before)
	made := trial.Send("POST /Users\n" + string(body))
	trial.Check(made.Status == 201, "%s: making the user: got %d: %s", v.story, made.Status, made.Body)
	user := "/Users/" + attributes(trial, made.Body)["id"].(string)

	patch := v.patch
	if strings.HasPrefix(patch, "[") {
		patch = fmt.Sprintf(`{"schemas":[%q],"Operations":%s}`, patchSchema, patch)
	}
	answer, read := trial.Send("PATCH "+user+"\n"+patch), trial.Send("GET "+user)
	want := v.result[profile]
	if status, scimType, refused := strings.Cut(want, " "); refused && status == "400" {
		trial.Check(answer.Status == 400 && attributes(trial, answer.Body)["scimType"] == scimType,
			"%s: got %d %s, want %s", v.story, answer.Status, answer.Body, want)
		trial.Check(read.Body == made.Body, "%s: refused, and yet changed:\n%s\n%s", v.story, made.Body, read.Body)
	} else {
		if want == "unchanged" {
			want = v.before
		}
		trial.Check(answer.Status == 200 && answer.Body == read.Body, "%s: got %d\n%s\nthen read\n%s", v.story, answer.Status, answer.Body, read.Body)
		difference := cmp.Diff(withDefaults(attributes(trial, want)), stored(attributes(trial, read.Body)))
		trial.Check(difference == "", "%s (-want +got):\n%s", v.story, difference)
	}
	trial.Send("DELETE " + user)
}

func attributes(trial *conformance.Trial, text string) map[string]any {
	var all map[string]any
	trial.Decode(conformance.Answer{Body: text}, &all)
	return all
}

// withDefaults adds what the server assigns where nothing was said: a user is active.
func withDefaults(user map[string]any) map[string]any {
	if user["active"] == nil {
		user["active"] = true
	}
	return user
}

// stored is what a client can set of a user that was read.
func stored(user map[string]any) map[string]any {
	user = maps.Clone(user)
	for _, computed := range []string{"schemas", "id", "meta", "groups"} {
		delete(user, computed)
	}
	return user
}

package scim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// TestPatch plays the files of testdata/patch, each of which is about one row
// of RFC 7644 §3.5.2 or one customary deviation (Q70–Q103). A file is a
// sequence of sections:
//
//	before User      the resource that the patches below start from
//	patch <story>    a PATCH body, or only its Operations
//	lenient, strict, both
//	                 what comes of it: a resource, "unchanged", or "400 scimType"
//	lenient members, strict members, both members
//	                 its operations on members, one a line
//	notes            the notes of the lenient profile, "Q70 op" a line
func TestPatch(t *testing.T) {
	files, err := filepath.Glob("testdata/patch/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test data: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			for _, c := range readPatchCases(t, file) {
				t.Run(c.story, c.run)
			}
		})
	}
}

// patchCase is one patch and what each profile makes of it.
type patchCase struct {
	rt            *ResourceType
	story         string
	before, patch string
	result        map[Profile]string
	members       map[Profile]string
	notes         *string
}

func readPatchCases(t testing.TB, file string) []*patchCase {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []*patchCase
	var rt *ResourceType
	var before string
	for _, section := range archive.Files {
		text := strings.TrimSpace(string(section.Data))
		word, rest, _ := strings.Cut(section.Name, " ")
		switch word {
		case "before":
			rt, before = resourceTypeCalled(rest), text
		case "patch":
			cases = append(cases, &patchCase{rt: rt, story: rest, before: before, patch: text,
				result: map[Profile]string{}, members: map[Profile]string{}})
		default:
			if len(cases) == 0 || !cases[len(cases)-1].expect(word, rest, text) {
				t.Fatalf("%s: a section %q has no place here", file, section.Name)
			}
		}
	}
	return cases
}

func resourceTypeCalled(name string) *ResourceType {
	if name == "Group" {
		return GroupType()
	}
	return UserType()
}

// expect adds a section that says what comes of the patch.
func (c *patchCase) expect(word, rest, text string) bool {
	results := c.result
	if rest == "members" {
		results = c.members
	}
	switch word {
	case "both":
		results[Lenient], results[Strict] = text, text
	case "lenient", "strict":
		results[Profile(word)] = text
	case "notes":
		c.notes = &text
	default:
		return false
	}
	return true
}

// body returns the PATCH body: a patch that is only an array is its Operations.
func (c *patchCase) body() []byte {
	if strings.HasPrefix(c.patch, "[") {
		return fmt.Appendf(nil, `{"schemas":[%q],"Operations":%s}`, patchSchema, c.patch)
	}
	return []byte(c.patch)
}

func (c *patchCase) run(t *testing.T) {
	for _, profile := range []Profile{Lenient, Strict} {
		if c.result[profile] == "" {
			t.Fatalf("nothing is said about the %s profile", profile)
		}
		t.Run(string(profile), func(t *testing.T) { c.runAs(t, profile) })
	}
}

func (c *patchCase) runAs(t *testing.T, profile Profile) {
	before := mustParse(t, c.rt, c.before)
	untouched := mustParse(t, c.rt, c.before)
	after, members, notes, err := patched(c.rt, c.body(), profile, before)
	if diff := cmp.Diff(untouched, before); diff != "" {
		t.Errorf("the resource patched was modified (-before +after):\n%s", diff)
	}
	want := c.result[profile]
	switch {
	case strings.HasPrefix(want, "4"):
		if got := errorSummary(err); got != want {
			t.Fatalf("got %s (%v), want %s", got, err, want)
		}
		return
	case err != nil:
		t.Fatalf("refused: %v", err)
	}
	t.Logf("notes: %q", notes)
	if profile == Lenient && c.result[Strict] != want && len(notes) == 0 {
		t.Errorf("nothing is noted, though a strict connection answers %s", c.result[Strict])
	}
	if diff := cmp.Diff(c.wanted(t, want), after); diff != "" {
		t.Errorf("resource (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(c.members[profile], membersSummary(members)); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	if c.notes != nil && profile == Lenient {
		if diff := cmp.Diff(*c.notes, notesSummary(notes)); diff != "" {
			t.Errorf("notes (-want +got):\n%s", diff)
		}
	}
}

func (c *patchCase) wanted(t *testing.T, want string) Resource {
	t.Helper()
	if want == "unchanged" {
		want = c.before
	}
	return mustParse(t, c.rt, want)
}

// patched parses and applies a body.
func patched(rt *ResourceType, body []byte, p Profile, r Resource) (Resource, []MemberOp, []Note, error) {
	patch, err := ParsePatch(rt, body, p)
	if err != nil {
		return nil, nil, nil, err
	}
	after, notes, err := patch.Apply(rt, r)
	return after, patch.Members(), notes, err
}

func mustParse(t testing.TB, rt *ResourceType, text string) Resource {
	t.Helper()
	r, err := ParseStored(rt, []byte(text))
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return r
}

func errorSummary(err error) string {
	var refused *Error
	if !errors.As(err, &refused) {
		return "no refusal"
	}
	return fmt.Sprintf("%d %s", refused.Status, refused.Type)
}

func membersSummary(ops []MemberOp) string {
	var lines []string
	for _, op := range ops {
		line := op.Kind.String()
		for _, m := range op.Members {
			line += " " + strings.Join(strings.Fields(m.Type+" "+m.Value), ":")
			if m.Display != "" {
				line += fmt.Sprintf("(%s)", m.Display)
			}
		}
		if op.Filter != nil {
			line += " " + op.Filter.String()
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func notesSummary(notes []Note) string {
	var lines []string
	for _, n := range notes {
		lines = append(lines, n.Quirk+" "+n.Path)
	}
	return strings.Join(lines, "\n")
}

// A client that forgot the body is told so, not that its JSON is bad.
func TestAPatchWithoutABody(t *testing.T) {
	for _, body := range []string{"", " \r\n"} {
		_, err := readPatchBody([]byte(body))
		var refused *Error
		if !errors.As(err, &refused) || refused.Detail != "the body is empty" {
			t.Errorf("body %q: got %v, want that the body is empty", body, err)
		}
	}
}

// TestEveryQuirkOfPatchHasAFile keeps the test data complete: Q70 to Q99.
// Q100 to Q103 are about answers, but for Q100 and Q101.
func TestEveryQuirkOfPatchHasAFile(t *testing.T) {
	for n := 70; n <= 101; n++ {
		files, err := filepath.Glob(fmt.Sprintf("testdata/patch/q%02d_*.txtar", n))
		if err != nil || len(files) == 0 {
			t.Errorf("Q%d has no file in testdata/patch", n)
		}
	}
	if _, err := os.Stat("testdata/patch/rfc_add.txtar"); err != nil {
		t.Error(err)
	}
}

package scim

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what Decode answers into testdata/decode/*.txtar")

// TestDecodeTranscripts reads bodies as both profiles do. Each section of a
// transcript is a resource type and a body, then what lenient and strict make
// of it: the resource, its members, the notes; or the refusal.
func TestDecodeTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/decode/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, section := range archive.Files {
			request, _, _ := strings.Cut(string(section.Data), "\n")
			got := request + "\n" + answer(t, request)
			archive.Files[i].Data = []byte(got)
			if !*update && got != string(section.Data) {
				t.Errorf("%s: %s:\n%s", file, section.Name, cmp.Diff(string(section.Data), got))
			}
		}
		if *update {
			if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func answer(t *testing.T, request string) string {
	t.Helper()
	name, body, _ := strings.Cut(request, " ")
	rt := map[string]*ResourceType{"User": UserType(), "Group": GroupType()}[name]
	if rt == nil {
		t.Fatalf("no resource type %q in %q", name, request)
	}
	lenient, strict := describe(rt, body, Lenient), describe(rt, body, Strict)
	if !noted(lenient, strict) {
		t.Errorf("%s\n%s%snothing is noted, though strict reads it otherwise", request, lenient, strict)
	}
	return lenient + strict
}

// noted reports whether lenience noted something where strict reads a body otherwise,
// unless strict only refuses the format of a value, which lenience keeps as it is (Q59).
func noted(lenient, strict string) bool {
	one, notes, _ := strings.Cut(strings.TrimPrefix(lenient, "lenient: "), "\n")
	other, _, _ := strings.Cut(strings.TrimPrefix(strict, "strict: "), "\n")
	return one == other || strings.HasPrefix(one, "400") || strings.Contains(notes, "  Q") || strings.Contains(other, "is not a valid value of its type")
}

func describe(rt *ResourceType, body string, p Profile) string {
	doc, err := Decode(rt, []byte(body), p)
	if err != nil {
		return fmt.Sprintf("%s: %v\n", p, err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", p, AppendJSON(nil, rt, doc.Resource))
	if doc.HasMembers {
		fmt.Fprintf(&b, "  members %v\n", doc.Members)
	}
	for _, n := range doc.Notes {
		fmt.Fprintf(&b, "  %s %s: %s\n", n.Quirk, n.Path, n.Reason)
	}
	return b.String()
}

const someUser = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"jamie"`

func TestDecodeIsBounded(t *testing.T) {
	members := func(n int) string {
		return `{"schemas":["` + GroupSchema + `"],"displayName":"All","members":[` +
			strings.TrimSuffix(strings.Repeat(`{"value":"7","type":"User"},`, n), ",") + `]}`
	}
	groups := func(n int) string { // as a client has read them (Q49)
		return `{` + someUser + `,"groups":[` +
			strings.TrimSuffix(strings.Repeat(`{"value":"7","$ref":"https://id.example/Groups/7","display":"Riggers","type":"direct"},`, n), ",") + `]}`
	}
	cases := []struct {
		name, body string
		rt         *ResourceType
		wantDetail string // "" if accepted
	}{
		{"32 levels", `{` + someUser + `,"x":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`, UserType(), ""},
		{"33 levels", `{` + someUser + `,"x":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, UserType(), "levels"},
		{"10,000 levels", `{` + someUser + `,"x":` + strings.Repeat(`{"a":`, 10_000) + `1` + strings.Repeat(`}`, 10_000) + `}`, UserType(), "levels"},
		{"512 attributes", `{` + someUser + unknowns(510) + `}`, UserType(), ""},
		{"513 attributes", `{` + someUser + unknowns(511) + `}`, UserType(), "too many attributes"},
		{"too many values", `{` + someUser + `,"x":[` + strings.Repeat("1,", 5000) + `1]}`, UserType(), "too many values"},
		{"a string of 64 KiB", `{` + someUser + `,"title":"` + strings.Repeat("x", 64<<10) + `"}`, UserType(), ""},
		{"a string of more", `{` + someUser + `,"title":"` + strings.Repeat("x", 64<<10+1) + `"}`, UserType(), "longer"},
		{"a userName of 1,025 bytes", `{"userName":"` + strings.Repeat("x", 1025) + `"}`, UserType(), "userName is longer"},
		{"20,000 members", members(20_000), GroupType(), ""},
		{"100,000 members", members(100_000), GroupType(), ""},
		{"100,001 members", members(100_001), GroupType(), "more than 100000 members"},
		{"600 groups sent back", groups(600), UserType(), ""},
		{"groups are no excuse", strings.TrimSuffix(groups(600), "}") + unknowns(511) + `}`, UserType(), "too many attributes"},
		{"groups of something else", `{` + someUser + `,"name":{"groups":[` + strings.Repeat(`{"a":1},`, 600) + `1]}}`, UserType(), "too many attributes"},
		{"members are no excuse", strings.TrimSuffix(members(1), "}") + unknowns(511) + `}`, GroupType(), "too many attributes"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Decode(c.rt, []byte(c.body), Lenient)
			switch {
			case c.wantDetail == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.wantDetail != "" && (err == nil || !strings.Contains(err.Error(), c.wantDetail)):
				t.Errorf("got error %v, want one about %q", err, c.wantDetail)
			}
		})
	}
}

// Whatever a body holds, what is noted of it stays short and says how much it is not.
func TestNotesAreBounded(t *testing.T) {
	var elements, operations []string
	for i := range 2000 {
		elements = append(elements, fmt.Sprintf(`{"value":"7","odd%d":1}`, i))
	}
	for i := range 900 { // each is read with two notes and applied with one
		operations = append(operations, fmt.Sprintf(`{"op":"Replace","path":"title","value":"x","odd%d":1}`, i))
	}
	group, err := parseMembers(elements[:400])
	if err != nil || len(group.Notes) != 400 {
		t.Fatalf("400 oddities: %d notes, %v", len(group.Notes), err)
	}
	if group, err = parseMembers(elements); err != nil {
		t.Fatal(err)
	}
	last := func(notes []Note) string {
		if len(notes) != MaxNotes+1 {
			t.Errorf("%d notes, want %d and one that counts the others", len(notes), MaxNotes)
		}
		return notes[len(notes)-1].Reason
	}
	if got, want := last(group.Notes), "1488 more were ignored or repaired than are listed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	patch, err := ParsePatch(UserType(), []byte(`{"Operations":[`+strings.Join(operations, ",")+`]}`), Lenient)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // a patch is applied again when a transaction is retried
		_, notes, err := patch.Apply(UserType(), Resource{"userName": "jamie"})
		if err != nil || !strings.HasSuffix(last(notes), "more were ignored or repaired than are listed") {
			t.Errorf("got %q, %v", last(notes), err)
		}
	}
	if got, want := last(BoundNotes(make([]Note, 100_000))), "99488 more were ignored or repaired than are listed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func parseMembers(elements []string) (Document, error) {
	body := `{"schemas":["` + GroupSchema + `"],"displayName":"All","members":[` + strings.Join(elements, ",") + `]}`
	return Decode(GroupType(), []byte(body), Lenient)
}

func unknowns(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"a%d":1`, i)
	}
	return b.String()
}

// An invalid byte must not become U+FFFD, which would make two names one (P03).
func TestDecodeRefusesInvalidUTF8(t *testing.T) {
	for _, body := range []string{"{\"userName\":\"a\xff\"}", "{\"userName\":\"a\",\"x\xff\":1}", "{\"userName\":\"a\",\"x\":\"\xc0\x80\"}"} {
		if doc, err := Decode(UserType(), []byte(body), Lenient); err == nil {
			t.Errorf("Decode(%q) = %v, want an error", body, doc.Resource)
		}
	}
}

func TestDecodeSaysWhetherActiveWasThere(t *testing.T) {
	for body, want := range map[string]bool{
		`{` + someUser + `}`:                  false,
		`{` + someUser + `,"active":null}`:    false,
		`{` + someUser + `,"active":""}`:      false,
		`{` + someUser + `,"active":true}`:    true,
		`{` + someUser + `,"active":false}`:   true,
		`{` + someUser + `,"ACTIVE":"False"}`: true,
	} {
		doc, err := Decode(UserType(), []byte(body), Lenient)
		if err != nil || doc.HasActive != want {
			t.Errorf("%s: HasActive = %v, %v; want %v", body, doc.HasActive, err, want)
		}
	}
}

// No password may reach what is stored, searched or noted (I17).
func TestPasswordGoesNowhere(t *testing.T) {
	const canary = "Canary-1"
	for _, p := range []Profile{Lenient, Strict} {
		doc, err := Decode(UserType(), []byte(`{`+someUser+`,"password":"`+canary+`"}`), p)
		if err != nil {
			t.Fatal(err)
		}
		seen := fmt.Sprint(doc, string(AppendJSON(nil, UserType(), doc.Resource)), string(SearchJSON(nil, UserType(), doc.Resource)))
		if strings.Contains(seen, canary) {
			t.Errorf("%s: the password is in %s", p, seen)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(typicalUser), true)
	files, err := filepath.Glob("testdata/decode/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, section := range archive.Files {
			line, _, _ := bytes.Cut(section.Data, []byte("\n"))
			name, body, _ := bytes.Cut(line, []byte(" "))
			f.Add(body, string(name) == "User")
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, user bool) {
		rt := GroupType()
		if user {
			rt = UserType()
		}
		for _, p := range []Profile{Lenient, Strict} {
			doc, err := Decode(rt, body, p)
			if err != nil {
				if _, ok := err.(*Error); !ok {
					t.Fatalf("%s: %T is no *Error: %v", p, err, err)
				}
				continue
			}
			roundTrip(t, rt, doc.Resource)
		}
	})
}

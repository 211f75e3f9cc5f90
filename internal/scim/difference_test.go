package scim

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestDifferencesNameWhatIsNotTheSame(t *testing.T) {
	const old = `{"userName":"jamie","title":"a","emails":[{"value":"a@b"}],"urn:x":{"a":1}}`
	for next, want := range map[string]string{
		old:  `{}`,
		`{}`: `{"userName":{"old":"jamie"},"title":{"old":"a"},"emails":{"old":[{"value":"a@b"}]},"urn:x":{"old":{"a":1}}}`,
		`{"userName":"jamie","title":"b\"","emails":[{"value":"a@b"}],"urn:x":{"a":1,"b":{"c":[]}},"active":true}`: `{"title":{"old":"a","new":"b\""},"urn:x":{"old":{"a":1},"new":{"a":1,"b":{"c":[]}}},"active":{"new":true}}`,
	} {
		got, err := Differences([]byte(old), []byte(next))
		if text := string(AppendDifferences(nil, got)); text != want || err != nil {
			t.Errorf("%s: got %s %v\nwant %s", next, text, err, want)
		}
	}
	if _, err := Differences([]byte(old), []byte(`{"userName"`)); err == nil {
		t.Error("half a text is compared")
	}
}

// An attribute is named exactly where its value differs, and old and new are those values.
func TestDifferencesAreThoseOfTheValues(t *testing.T) {
	rt := UserType()
	rapid.Check(t, func(t *rapid.T) {
		old, next := resources(rt).Draw(t, "old"), resources(rt).Draw(t, "next")
		for name, value := range old {
			if rapid.Bool().Draw(t, "kept") {
				next[name] = value
			}
		}
		differences, err := Differences(AppendJSON(nil, rt, old), AppendJSON(nil, rt, next))
		if err != nil {
			t.Fatal(err)
		}
		var got, want map[string]map[string]any
		if err := json.Unmarshal(AppendDifferences(nil, differences), &got); err != nil {
			t.Fatal(err)
		}
		plain := func(r Resource) (tree map[string]any) {
			if err := json.Unmarshal(AppendJSON(nil, rt, r), &tree); err != nil {
				t.Fatal(err)
			}
			return tree
		}
		was, is := plain(old), plain(next)
		want = map[string]map[string]any{}
		for name := range maps.Keys(mergedNames(was, is)) {
			if cmp.Equal(was[name], is[name]) {
				continue
			}
			want[name] = map[string]any{}
			if v, ok := was[name]; ok {
				want[name]["old"] = v
			}
			if v, ok := is[name]; ok {
				want[name]["new"] = v
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-want +got: %s", diff)
		}
	})
}

func mergedNames(a, b map[string]any) map[string]bool {
	names := map[string]bool{}
	for _, name := range slices.Concat(slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b))) {
		names[name] = true
	}
	return names
}

package scim

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every User and Group printed in RFC 7643 and 7644 is accepted, also by
// strict, and comes back as it was but for what is not the client's to set.
func TestExamplesOfTheRFCs(t *testing.T) {
	text, err := os.ReadFile("testdata/rfc-examples.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Examples []struct {
			RFC, Section string
			Valid        bool `json:"json_ok"`
			JSON         json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	resources := 0
	for _, e := range file.Examples {
		var want map[string]any
		body := printed(e.JSON)
		if !e.Valid || json.Unmarshal(body, &want) != nil {
			continue
		}
		rt := typeOf(want)
		if rt == nil || want["userName"] == nil && want["displayName"] == nil || e.RFC == "9967" {
			continue
		}
		resources++
		checkExample(t, "RFC "+e.RFC+" §"+e.Section, rt, body, want)
	}
	if resources < 10 {
		t.Errorf("only %d examples are users or groups", resources)
	}
}

// printed undoes what is wrong in print: the country of errata 5990 and 5991,
// and the line breaks within certificates.
func printed(body []byte) []byte {
	body = bytes.ReplaceAll(body, []byte(`"USA"`), []byte(`"US"`))
	return certificate.ReplaceAllFunc(body, func(value []byte) []byte { return bytes.ReplaceAll(value, []byte(" "), nil) })
}

var certificate = regexp.MustCompile(`"MII[^"]*"`)

func typeOf(example map[string]any) *ResourceType {
	schemas, _ := example["schemas"].([]any)
	for _, rt := range ResourceTypes() {
		if slices.Contains(schemas, any(rt.Core.ID)) {
			return rt
		}
	}
	return nil
}

func checkExample(t *testing.T, name string, rt *ResourceType, body []byte, want map[string]any) {
	t.Helper()
	for _, notTheClients := range []string{"schemas", "id", "meta", "groups", "members", "password"} {
		delete(want, notTheClients)
	}
	maps.DeleteFunc(want, func(_ string, v any) bool { // [] is unassigned
		list, ok := v.([]any)
		return ok && len(list) == 0
	})
	if ext, ok := want[EnterpriseSchema].(map[string]any); ok {
		delete(ext["manager"].(map[string]any), "displayName")
	}
	for _, p := range []Profile{Lenient, Strict} {
		doc, err := Decode(rt, body, p)
		if err != nil {
			t.Errorf("%s: %s: %v", name, p, err)
			continue
		}
		var got map[string]any
		if err := json.Unmarshal(AppendJSON(nil, rt, doc.Resource), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s: %s", name, p, diff)
		}
	}
}

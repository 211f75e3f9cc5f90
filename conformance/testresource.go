package conformance

import (
	"embed"
	"path"
)

// The synthetic resource types of the checklist (TR): one attribute for each data
// type, mutability, way of being returned and uniqueness. It is the TestResource of
// github.com/scim2/test-suite with more attributes, and a second type of the same
// schemas, at /ExtendedTestResources, which requires the extension.
//
//go:embed testresource/*.json
var testResource embed.FS

// TestSchemas are the schemas of the synthetic resource types: documents of RFC
// 7643 §7, to be declared in this order.
func TestSchemas() [][]byte { return testDocuments("schema.json", "extension.json") }

// TestTypes are the synthetic resource types: documents of RFC 7643 §6, to be
// registered once their schemas are declared.
func TestTypes() [][]byte { return testDocuments("resourcetype.json", "required.json") }

func testDocuments(names ...string) [][]byte {
	var all [][]byte
	for _, name := range names {
		text, err := testResource.ReadFile(path.Join("testresource", name))
		if err != nil {
			panic(err) // embedded above
		}
		all = append(all, text)
	}
	return all
}

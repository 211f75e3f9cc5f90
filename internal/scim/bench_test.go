package scim

import "testing"

// typicalUser is about 1 kB: what Entra pushes with its default mapping.
const typicalUser = `{
"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
"externalId":"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef","userName":"Jamie.Morgan@ringling.example","displayName":"Jamie Morgan","title":"Ringmaster",
"active":true,"preferredLanguage":"en-US",
"name":{"formatted":"Jamie Morgan","familyName":"Morgan","givenName":"Jamie"},
"emails":[{"primary":true,"type":"work","value":"jamie.morgan@ringling.example"},{"type":"other","value":"jamie@morgan.example"}],
"phoneNumbers":[{"type":"work","value":"+1 941 555 0100"},{"type":"mobile","value":"+1 941 555 0101"}],
"addresses":[{"type":"work","streetAddress":"5401 Bay Shore Road","postalCode":"34243","locality":"Sarasota","region":"FL","country":"US"}],
"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"701984","department":"Performance","costCenter":"4130","manager":{"value":"019a0c5e-6f3a-7c11-9d5e-2b7d3f0c9a11"}},
"meta":{"resourceType":"User"}}`

func BenchmarkDecode(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(typicalUser)))
	for b.Loop() {
		if _, err := Decode(UserType(), []byte(typicalUser), Lenient); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	doc := typical(b)
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		buf = AppendJSON(buf[:0], UserType(), doc.Resource)
	}
}

func BenchmarkSearchJSON(b *testing.B) {
	doc := typical(b)
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		buf = SearchJSON(buf[:0], UserType(), doc.Resource)
	}
}

func BenchmarkParseStored(b *testing.B) {
	doc := typical(b)
	stored := AppendJSON(nil, UserType(), doc.Resource)
	b.ReportAllocs()
	b.SetBytes(int64(len(stored)))
	for b.Loop() {
		if _, err := ParseStored(UserType(), stored); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkKey(b *testing.B) {
	for name, s := range map[string]string{"ascii": "Jamie.Morgan@ringling.example", "unicode": "Zoë.Großmann@cirque.example"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Key(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func typical(tb testing.TB) Document {
	tb.Helper()
	doc, err := Decode(UserType(), []byte(typicalUser), Lenient)
	if err != nil {
		tb.Fatal(err)
	}
	return doc
}

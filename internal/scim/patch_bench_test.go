package scim

import "testing"

// A typical change by Entra: six attributes, one operation each.
const entraPatch = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
 "Operations":[
  {"op":"Replace","path":"displayName","value":"Pvlo"},
  {"op":"Replace","path":"emails[type eq \"work\"].value","value":"TestBcwqnm@test.microsoft.com"},
  {"op":"Replace","path":"name.givenName","value":"Gtfd"},
  {"op":"Replace","path":"name.familyName","value":"Pkqf"},
  {"op":"Replace","path":"externalId","value":"Eqpj"},
  {"op":"Replace","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber","value":"Eqpj"}]}`

const entraUser = `{"externalId":"58342554","userName":"ada@x.example","name":{"familyName":"King","givenName":"Ada"},"displayName":"Ada",
 "title":"Analyst","preferredLanguage":"en","active":true,"emails":[{"value":"ada@x.example","type":"work","primary":true}],
 "phoneNumbers":[{"value":"+1","type":"mobile"}],"addresses":[{"type":"work","country":"GB","locality":"London"}],
 "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"1","department":"D","manager":{"value":"7"}}}`

func BenchmarkPatch(b *testing.B) {
	for _, c := range []struct{ name, body string }{
		{"six attributes", entraPatch},
		{"deactivate", `{"schemas":["` + patchSchema + `"],"Operations":[{"op":"Replace","path":"active","value":"False"}]}`},
	} {
		user := mustParse(b, UserType(), entraUser)
		b.Run("parse and apply "+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, _, err := patched(UserType(), []byte(c.body), Lenient, user); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("apply "+c.name, func(b *testing.B) {
			patch, err := ParsePatch(UserType(), []byte(c.body), Lenient)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := patch.Apply(UserType(), user); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPatchOfMembers(b *testing.B) {
	body := func(op string, n int) []byte {
		ops := make([]string, n)
		for i := range ops {
			ops[i] = op
		}
		return patchOf(ops...)
	}
	for _, c := range []struct {
		name string
		body []byte
	}{
		{"one added", body(`{"op":"Add","path":"members","value":[{"$ref":null,"value":"2819c223-7f76-453a-919d-413861904646"}]}`, 1)},
		{"1000 removed one by one", body(`{"op":"remove","path":"members[value eq \"2819c223-7f76-453a-919d-413861904646\"]"}`, 1000)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParsePatch(GroupType(), c.body, Lenient); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

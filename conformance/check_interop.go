package conformance

import (
	"slices"
	"strings"
)

var interopChecks = []Check{
	{Name: "interop/discovery", Rows: []string{"AA02"}, Run: listedSchemas},
	{Name: "interop/canonical-types", Rows: []string{"AA04"}, Run: func(t *Trial) {
		found := 0
		everyAttribute(t, func(at string, a attribute) {
			if strings.HasSuffix(at, "core:2.0:User:emails.type") {
				found++
				t.Check(len(a.CanonicalValues) > 0, "%s has no canonicalValues", at)
			}
		})
		t.Check(found == 1, "emails.type was found %d times", found)
	}},
	{Name: "interop/discovery-is-as-it-is", Rows: []string{"AB10"}, Run: discoveryIsAsItIs},
}

// listedSchemas reads the resource types: each is called what its id says, and the
// schemas that it names are all in /Schemas.
func listedSchemas(t *Trial) {
	var schemas struct{ Resources []struct{ ID string } }
	t.Decode(t.Send("GET /Schemas"), &schemas)
	var listed []string
	for _, schema := range schemas.Resources {
		listed = append(listed, schema.ID)
	}
	var types struct {
		Resources []struct {
			ID, Name, Schema string
			SchemaExtensions []struct{ Schema string }
		}
	}
	t.Decode(t.Send("GET /ResourceTypes"), &types)
	t.Check(len(types.Resources) >= 2, "%d resource types", len(types.Resources))
	for _, rt := range types.Resources {
		t.Check(rt.ID == rt.Name, "id %q, name %q", rt.ID, rt.Name)
		t.Check(slices.Contains(listed, rt.Schema), "%s is not in /Schemas", rt.Schema)
		for _, extension := range rt.SchemaExtensions {
			t.Check(slices.Contains(listed, extension.Schema), "%s is not in /Schemas", extension.Schema)
		}
	}
	t.Expect(t.Send("GET /ServiceProviderConfig"), `200
{"patch":{"supported":true},"...":"..."}`)
}

// discoveryIsAsItIs: no URI of the configuration is empty, nothing can be written, what
// there is not is not found, and answers hold what their schemas say is returned.
func discoveryIsAsItIs(t *Trial) {
	var config any
	t.Decode(t.Send("GET /ServiceProviderConfig"), &config)
	t.Check(!holdsEmptyText(config), "ServiceProviderConfig holds an empty text: %v", config)
	for _, path := range []string{"/ServiceProviderConfig", "/Schemas", "/ResourceTypes", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", "/ResourceTypes/User"} {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
			answer := t.Send(method + " " + path + "\n{}")
			t.Check(answer.Status == 405 || answer.Status == 501, "%s %s: got %d, want 405", method, path, answer.Status)
		}
	}
	for _, path := range []string{"/Schemas/{nobody}", "/ResourceTypes/{nobody}"} {
		t.Expect(t.Send("GET "+path), `404
{"schemas":["`+errorSchema+`"],"status":"404","detail":"..."}`)
	}
	t.Expect(t.Send("POST /Users\n"+`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bjensen","title":"Guide","password":"t0p"}`), `201
{"id":"{babs}","...":"..."}`)
	everyAttribute(t, func(at string, a attribute) {
		name, isUser := strings.CutPrefix(at, "urn:ietf:params:scim:schemas:core:2.0:User:")
		if !isUser {
			return
		}
		for _, target := range []string{"/Users/{babs}", "/Users"} {
			t.Check(returnedAsDeclared(t, target, name, a), "%s is returned %s, which GET %s does not hold to", at, a.Returned, target)
		}
	})
}

// returnedAsDeclared asks for everything, for nothing and for all but the attribute.
func returnedAsDeclared(t *Trial, target, name string, a attribute) bool {
	shows := func(parameters string) bool {
		return strings.Contains(t.Send("GET "+target+"?"+parameters).Body, `"`+name+`":`)
	}
	has := shows("attributes=" + name)
	switch a.Returned {
	case "never":
		return !has && !shows("")
	case "always":
		return shows("attributes=userName") && shows("excludedAttributes="+name)
	case "request":
		return !shows("") && !shows("attributes=userName")
	}
	return shows("") == has && !shows("excludedAttributes="+name) && (name == "userName" || !shows("attributes=userName"))
}

func holdsEmptyText(value any) bool {
	switch value := value.(type) {
	case string:
		return value == ""
	case map[string]any:
		for _, member := range value {
			if holdsEmptyText(member) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(value, holdsEmptyText)
	}
	return false
}

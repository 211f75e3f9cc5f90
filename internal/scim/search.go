package scim

import (
	"slices"
	"strings"
)

// searchSchema is what the `schemas` of a search must name (RFC 7644 §3.4.3).
const searchSchema = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"

// searchMembers are what a search may hold besides `schemas` (RFC 7644 §3.4.3,
// RFC 9865 §2).
var searchMembers = map[string]func(name string, v any) (string, error){
	"filter": searchString, "sortby": searchString, "sortorder": searchString, "cursor": searchString,
	"startindex": searchNumber, "count": searchNumber,
	"attributes": searchNames, "excludedattributes": searchNames,
}

// ParseSearch reads the body of a search request (RFC 7644 §3.4.3) as the
// parameters of the GET that asks for the same, by their names in lower case.
// Names are as good in any letter case, a value of null is none, and a list of
// names may be a string in which commas part them. A strict profile refuses
// members that the message does not define.
//
// A body has at most 512 names and 4,096 values. The error is an [*Error]:
// invalidSyntax for what is no SearchRequest, invalidValue for a value of
// another type than its parameter's.
func ParseSearch(body []byte, p Profile) (map[string]string, error) {
	v, err := parseJSON(body, maxNames, maxValues)
	if err != nil {
		return nil, err
	}
	fields, ok := v.(object)
	if !ok {
		return nil, BadSyntax("the body is not a JSON object")
	}
	parameters, schemas := map[string]string{}, any(nil)
	for _, f := range fields {
		name := lowerASCII(f.name)
		read := searchMembers[name]
		switch {
		case name == "schemas":
			schemas = f.value
		case read == nil && p == Strict:
			return nil, BadSyntax("a search has no %q", clip(f.name))
		case read != nil && f.value != nil:
			if parameters[name], err = read(f.name, f.value); err != nil {
				return nil, err
			}
		}
	}
	if list, _ := schemas.([]any); !slices.ContainsFunc(list, func(e any) bool { urn, _ := e.(string); return isName(urn, searchSchema) }) {
		return nil, BadSyntax("schemas does not name %s", searchSchema)
	}
	return parameters, nil
}

func searchString(name string, v any) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", BadValue("%s is a string", name)
	}
	return s, nil
}

// searchNumber returns a number as it is written: what it may be, the
// parameter's reader decides.
func searchNumber(name string, v any) (string, error) {
	n, ok := v.(number)
	if !ok {
		return "", BadValue("%s is a number", name)
	}
	return string(n), nil
}

func searchNames(name string, v any) (string, error) {
	if list, ok := v.(string); ok {
		return list, nil
	}
	list, ok := v.([]any)
	names := make([]string, len(list))
	for i := range list {
		if names[i], ok = list[i].(string); !ok {
			break
		}
	}
	if !ok {
		return "", BadValue("%s is an array of attribute names", name)
	}
	return strings.Join(names, ","), nil
}

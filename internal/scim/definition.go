package scim

import (
	"slices"
	"strings"
)

// definitions reads the attributes of a schema, or with a parent its
// sub-attributes. left is how many the schema may still have.
func (d document) definitions(name string, parent *attributeJSON, left *int) ([]attributeJSON, error) {
	docs, err := d.objects(name)
	if err != nil {
		return nil, err
	}
	if len(docs) == 0 {
		return nil, d.bad(name, "at least one attribute is required")
	}
	var all []attributeJSON
	for _, doc := range docs {
		if *left--; *left < 0 {
			return nil, doc.bad("name", "a schema has at most %d attributes, sub-attributes included", maxDeclared)
		}
		a, err := doc.definition(parent, left)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(other attributeJSON) bool { return isName(other.Name, a.Name) }) {
			return nil, doc.bad("name", "%q is the name of another attribute, in the same or another letter case", a.Name)
		}
		all = append(all, a)
	}
	return all, nil
}

// definition reads one attribute (RFC 7643 §7). What is left out has the value
// of §2.2, but that a reference and a binary are caseExact (§2.3.6, §2.3.7) and
// what is writeOnly is never returned.
func (d document) definition(parent *attributeJSON, left *int) (a attributeJSON, err error) {
	if err = d.only("name", "type", "multiValued", "description", "required", "canonicalValues", "caseExact",
		"mutability", "returned", "uniqueness", "referenceTypes", "subAttributes"); err != nil {
		return a, err
	}
	for _, read := range []func(*attributeJSON) error{d.naming, d.typing, d.characteristics, d.values} {
		if err = read(&a); err != nil {
			return a, err
		}
	}
	if a.Type == TypeComplex.String() && parent == nil {
		if a.SubAttributes, err = d.definitions("subAttributes", &a, left); err != nil {
			return a, err
		}
	} else if d.fields.get("subAttributes") != nil {
		return a, d.bad("subAttributes", "only a complex attribute has sub-attributes")
	}
	if parent == nil {
		return a, d.common(a)
	}
	return a, d.predefined(*parent, a)
}

func (d document) naming(a *attributeJSON) (err error) {
	if a.Name, err = d.required("name", maxAttributeName); err != nil {
		return err
	}
	switch {
	case !isAttributeName(a.Name):
		return d.bad("name", "%q is no name: a letter, then letters, digits, $, - and _", clip(a.Name))
	case isName(a.Name, "and"), isName(a.Name, "or"), isName(a.Name, "not"):
		return d.bad("name", "%q is a word of filters", a.Name)
	}
	a.Description, err = d.text("description", maxDescription)
	return err
}

// isAttributeName holds a name against ATTRNAME of RFC 7643 §2.1; $ref is the
// exception that the RFC itself makes (erratum 8924).
func isAttributeName(s string) bool {
	if s == "$ref" {
		return true
	}
	for i := range len(s) {
		letter := 'a' <= lowerByte(s[i]) && lowerByte(s[i]) <= 'z'
		if !letter && (i == 0 || s[i] != '$' && s[i] != '-' && s[i] != '_' && (s[i] < '0' || '9' < s[i])) {
			return false
		}
	}
	return s != ""
}

func (d document) typing(a *attributeJSON) (err error) {
	if a.Type, err = d.keyword("type", typeNames[:]...); err != nil {
		return err
	}
	if a.MultiValued, err = d.is("multiValued"); err != nil {
		return err
	}
	if a.Required, err = d.is("required"); err != nil {
		return err
	}
	if a.CaseExact, err = d.flag("caseExact"); err != nil {
		return err
	}
	switch a.Type {
	case TypeComplex.String(), TypeBoolean.String():
		if a.CaseExact != nil {
			return d.bad("caseExact", "does not apply to %s", a.Type)
		}
		return nil
	case TypeReference.String(), TypeBinary.String():
		if a.CaseExact != nil && !*a.CaseExact {
			return d.bad("caseExact", "a %s is always compared exactly (RFC 7643 §2.3)", a.Type)
		}
		exact := true
		a.CaseExact = &exact
	}
	if a.CaseExact == nil {
		a.CaseExact = new(bool)
	}
	return nil
}

// characteristics reads how values may change, are shown and differ.
func (d document) characteristics(a *attributeJSON) (err error) {
	if a.Mutability, err = d.keyword("mutability", ReadWrite, ReadOnly, Immutable, WriteOnly); err != nil {
		return err
	}
	returned := []string{ReturnedDefault, ReturnedAlways, ReturnedNever, ReturnedRequest}
	if a.Mutability == WriteOnly {
		returned = []string{ReturnedNever}
	}
	if a.Returned, err = d.keyword("returned", returned...); err != nil {
		return err
	}
	if err := d.uniqueness(a); err != nil {
		return err
	}
	return d.sensible(a)
}

func (d document) uniqueness(a *attributeJSON) (err error) {
	if a.Type == TypeComplex.String() || a.Type == TypeBoolean.String() {
		if given := d.fields.get("uniqueness"); given != nil && given != UniqueNone {
			return d.bad("uniqueness", "does not apply to %s", a.Type)
		}
		return nil
	}
	a.Uniqueness, err = d.keyword("uniqueness", UniqueNone, UniqueServer, UniqueGlobal)
	return err
}

// sensible refuses characteristics that contradict one another. What nobody may
// read is not kept; so it can be neither required nor immutable nor unique.
func (d document) sensible(a *attributeJSON) error {
	switch {
	case a.Required && a.Mutability == ReadOnly:
		return d.bad("required", "nobody could set a required attribute that is readOnly")
	case !a.secret():
		return nil
	case a.Required:
		return d.bad("required", "a value that is never returned is not kept, and so cannot be required")
	case a.Mutability == Immutable:
		return d.bad("mutability", "a value that is never returned is not kept, and so cannot be immutable")
	case a.Uniqueness == UniqueServer || a.Uniqueness == UniqueGlobal:
		return d.bad("uniqueness", "of a value that is never returned would tell who guesses it")
	}
	return nil
}

func (d document) values(a *attributeJSON) (err error) {
	if a.CanonicalValues, err = d.texts("canonicalValues", maxCanonicalLength); err != nil {
		return err
	}
	if len(a.CanonicalValues) > 0 && a.Type != TypeString.String() {
		return d.bad("canonicalValues", "only a string has canonical values")
	}
	if a.ReferenceTypes, err = d.texts("referenceTypes", maxTitle); err != nil {
		return err
	}
	if len(a.ReferenceTypes) > 0 && a.Type != TypeReference.String() {
		return d.bad("referenceTypes", "only a reference has reference types")
	}
	for i, name := range a.ReferenceTypes {
		if !isTypeName(name) {
			return d.bad("referenceTypes"+index1(i), "%q is neither external nor uri nor the name of a resource type", clip(name))
		}
	}
	return nil
}

// common refuses the attributes that every resource has (RFC 7643 §3.1).
func (d document) common(a attributeJSON) error {
	if common().Attribute(a.Name) != nil || isName(a.Name, "externalId") {
		return d.bad("name", "%s is an attribute of every resource and cannot be declared", a.Name)
	}
	if a.Name == "$ref" {
		return d.bad("name", "$ref is the name of a sub-attribute")
	}
	return nil
}

// predefined refuses a sub-attribute that RFC 7643 §2.4 gives another meaning,
// and a complex one (§2.3.8).
func (d document) predefined(parent, a attributeJSON) error {
	want := ""
	switch {
	case a.Type == TypeComplex.String():
		return d.bad("type", "a complex attribute holds no complex attributes")
	case a.Name == "$ref":
		want = TypeReference.String()
	case isName(a.Name, "primary") && parent.MultiValued:
		want = TypeBoolean.String()
	case (isName(a.Name, "type") || isName(a.Name, "display")) && parent.MultiValued:
		want = TypeString.String()
	}
	if want != "" && (a.Type != want || a.MultiValued) {
		return d.bad("type", "%s is one %s (RFC 7643 §2.4)", a.Name, want)
	}
	return nil
}

// checkURN holds the id of a schema against RFC 8141, without the characters that
// filters and lists of attributes are made of, and refuses what RFC 7643 and
// 7644 keep for themselves.
func checkURN(urn string) error {
	namespace, rest, found := strings.Cut(strings.TrimPrefix(lowerASCII(urn), "urn:"), ":")
	switch {
	case !hasPrefixFold(urn, "urn:") || !found || !isNamespace(namespace) || rest == "" || strings.Trim(rest, ":.") != rest:
		return BadValue(`id: %q is no URN such as "urn:example:params:scim:schemas:extension:2.0:User"`, clip(urn))
	case strings.ContainsFunc(urn, notInURN):
		return BadValue("id: %q: the URN of a schema is made of letters, digits and -._: so that filters can name it", clip(urn))
	case hasPrefixFold(urn, "urn:ietf:params:scim:api:"), hasPrefixFold(urn, "urn:ietf:params:scim:schemas:core:"), isName(urn, EnterpriseSchema):
		return BadValue("id: %s belongs to RFC 7643 and 7644", urn)
	}
	return nil
}

func isNamespace(s string) bool {
	return len(s) >= 2 && len(s) <= 32 && strings.Trim(s, "-") == s && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && (r < '0' || '9' < r) && (r < 'a' || 'z' < r)
	})
}

func notInURN(r rune) bool {
	letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	return !letter && !strings.ContainsRune("-._:", r)
}

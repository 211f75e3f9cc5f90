package scim

import (
	"cmp"
	_ "embed"
	"encoding/asn1"
	"encoding/base64"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/language"
)

// checkFormat refuses, for strict connections, a string that is not of its
// attribute's type (RFC 7643 §2.3) or not what the RFC says the attribute
// holds (§4.1). An empty string is of every type.
func (a *Attribute) checkFormat(s string) error {
	if s == "" || a.fits(s) {
		return nil
	}
	return badFormat(a, s)
}

func badFormat(a *Attribute, s string) *Error {
	return BadValue("%s: %q is not a valid value of its type", a.Path, clip(s))
}

// isTyped reports whether s is of a's type (RFC 7643 §2.3).
func (a *Attribute) isTyped(s string) bool {
	switch a.Type {
	case TypeDateTime:
		_, ok := parseDateTime(s)
		return ok
	case TypeBinary:
		return isBase64(s)
	case TypeReference:
		return isURI(s)
	}
	return true
}

func (a *Attribute) fits(s string) bool {
	if !a.isTyped(s) {
		return false
	}
	if a.Declared {
		return len(a.Canonical) == 0 || a.canonicalValue(s) != ""
	}
	switch a.Path {
	case "x509Certificates.value":
		return isCertificate(s)
	case "locale", "preferredLanguage":
		_, _, err := language.ParseAcceptLanguage(s)
		return err == nil
	case "timezone":
		return zones()[lowerASCII(s)]
	case "addresses.country": // ISO 3166-1 alpha-2
		return len(s) == 2 && isUpper(s[0]) && isUpper(s[1])
	}
	return len(a.Canonical) == 0 || a.canonicalValue(s) != ""
}

// canonical puts a value of a strict connection into its canonical form where RFC 7643
// has one: canonical values (§2.4), the domain of e-mail addresses and names of instant
// messengers (§4.1.2).
func (a *Attribute) canonical(s string) string {
	switch path := a.Path; {
	case a.Declared:
	case path == "emails.value":
		if at := strings.LastIndexByte(s, '@'); at >= 0 {
			return s[:at] + strings.ToLower(s[at:])
		}
	case path == "ims.value":
		return strings.ToLower(strings.Join(strings.Fields(s), ""))
	}
	return cmp.Or(a.canonicalValue(s), s)
}

// canonicalValue returns the canonical value that s is equal to, or "".
func (a *Attribute) canonicalValue(s string) string {
	for _, value := range a.Canonical {
		if compared(a, value) == compared(a, s) {
			return value
		}
	}
	return ""
}

// zoneNames lists the time zones of the IANA database, links included.
//
//go:embed zones.txt
var zoneNames string

// zones holds the names of time zones in lower case: they are told apart by no more.
var zones = sync.OnceValue(func() map[string]bool {
	all := map[string]bool{}
	for name := range strings.FieldsSeq(zoneNames) {
		all[lowerASCII(name)] = true
	}
	return all
})

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

// isBase64 takes RFC 4648 §4 and §5, with and without padding (RFC 7643 §2.3.6).
func isBase64(s string) bool {
	_, err := base64.RawStdEncoding.DecodeString(plainBase64(s))
	return err == nil
}

func plainBase64(s string) string {
	return strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(s), "=")
}

// isCertificate takes the DER of exactly one certificate (RFC 7643 §4.1.2, RFC 5280
// §4.1); nobody here relies on what it says.
func isCertificate(s string) bool {
	var certificate struct {
		Signed, Algorithm asn1.RawValue
		Signature         asn1.BitString
	}
	der, err := base64.RawStdEncoding.DecodeString(plainBase64(s))
	if err != nil {
		return false
	}
	rest, err := asn1.Unmarshal(der, &certificate)
	return err == nil && len(rest) == 0
}

// isURI takes absolute and relative references (RFC 3986 §4.1).
func isURI(s string) bool {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || strings.ContainsRune(`"<>\\^`+"`{|}", r) }) {
		return false
	}
	_, err := url.Parse(s)
	return err == nil
}

// searchTime is the width in which every date stands in the search document,
// so that dates compare as strings.
const searchTime = "2006-01-02T15:04:05.000000000Z07:00"

// parseDateTime reads an xsd:dateTime (RFC 7643 §2.3.5) with up to nine digits
// of fraction, as far as RFC 3339 goes; without an offset it is UTC.
func parseDateTime(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

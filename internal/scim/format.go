package scim

import (
	"encoding/base64"
	"net/url"
	"strings"
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
	return BadValue("%s: %q is not a valid value of its type", a.Path, clip(s))
}

func (a *Attribute) fits(s string) bool {
	switch a.Type {
	case TypeDateTime:
		_, ok := parseDateTime(s)
		return ok
	case TypeBinary:
		return isBase64(s)
	case TypeReference:
		return isURI(s)
	}
	switch a.Path {
	case "locale", "preferredLanguage":
		_, _, err := language.ParseAcceptLanguage(s)
		return err == nil
	case "addresses.country": // ISO 3166-1 alpha-2
		return len(s) == 2 && isUpper(s[0]) && isUpper(s[1])
	}
	return true
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

// isBase64 takes RFC 4648 §4 and §5, with and without padding (RFC 7643 §2.3.6).
func isBase64(s string) bool {
	s = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(s), "=")
	_, err := base64.RawStdEncoding.DecodeString(s)
	return err == nil
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

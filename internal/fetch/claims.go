package fetch

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxUnixTime is the last moment accepted as a NumericDate: the year 2286.
const maxUnixTime = 1e10

// Claims are the claims of a verified token. Reading one says whether it is there with
// the right JSON type: nothing is converted, so a number never becomes a name.
type Claims struct {
	Issuer   string
	Subject  string
	IssuedAt time.Time
	Expiry   time.Time

	members map[string]jsontext.Value
}

func parseClaims(payload []byte) (Claims, error) {
	var claims Claims
	if err := decode(payload, &claims.members); err != nil {
		return Claims{}, refused("claims of the token: %w", err)
	}
	if claims.members == nil {
		return Claims{}, refused("claims of the token are not an object")
	}
	claims.Issuer, _ = claims.String("iss")
	claims.Subject, _ = claims.String("sub")
	claims.IssuedAt, _ = claims.Time("iat")
	claims.Expiry, _ = claims.Time("exp")
	return claims, nil
}

// Has reports whether the claim is there at all, with any value, null included.
func (c Claims) Has(name string) bool {
	_, ok := c.members[name]
	return ok
}

// String returns the claim if it is a JSON string that is not empty.
func (c Claims) String(name string) (string, bool) {
	var text string
	ok := c.read(name, '"', &text)
	return text, ok && text != ""
}

// Bool returns the claim if it is JSON true or false; "true" and 1 are neither.
func (c Claims) Bool(name string) (value, ok bool) {
	switch string(c.members[name]) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

// Time returns the claim if it is a NumericDate (RFC 7519 §2): a JSON number of seconds.
func (c Claims) Time(name string) (time.Time, bool) {
	var seconds float64
	if !c.read(name, '0', &seconds) || seconds <= 0 || seconds > maxUnixTime {
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0), true
}

// Strings returns the claim if it is an array of JSON strings.
func (c Claims) Strings(name string) ([]string, bool) {
	var elements []jsontext.Value
	if !c.read(name, '[', &elements) {
		return nil, false
	}
	list := make([]string, 0, len(elements))
	for _, element := range elements {
		var text string
		if element.Kind() != '"' || json.Unmarshal(element, &text) != nil {
			return nil, false
		}
		list = append(list, text)
	}
	return list, true
}

// read decodes the claim into v if it is of the given kind.
func (c Claims) read(name string, kind jsontext.Kind, v any) bool {
	value, ok := c.members[name]
	return ok && value.Kind() == kind && json.Unmarshal(value, v) == nil
}

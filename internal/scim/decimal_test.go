package scim

import (
	"cmp"
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A11: a decimal leaves as the number it came as.
func TestDecimalsKeepTheirDigits(t *testing.T) {
	rt, _ := testTypes(t)
	for sent, want := range map[string]string{
		"1234567890.123456789":    "1234567890.123456789",
		"0.1":                     "0.1",
		"-0":                      "0",
		"42":                      "42",
		"42.0":                    "42",
		"1e3":                     "1000",
		"9007199254740993":        "9007199254740993",
		"1.50000000000000000010":  "1.5000000000000000001",
		"0.00000000000000000012":  "1.2e-19",
		"12345678901234567890e10": "123456789012345678900000000000",
		"-98765.432109876543210":  "-98765.43210987654321",
		"12345678901234567890e80": "1.234567890123456789e99",
		// What is written is longer than what may be sent.
		strings.Repeat("1", 64):          "1." + strings.Repeat("1", 63) + "e63",
		"-" + strings.Repeat("7", 63):    "-7." + strings.Repeat("7", 62) + "e62",
		strings.Repeat("1", 60) + "e100": "1." + strings.Repeat("1", 59) + "e159",
	} {
		r := read(t, rt, Strict, `"identifier":"x","dec":`+sent).Resource
		text := string(AppendJSON(nil, rt, r))
		if !strings.HasSuffix(text, `"dec":`+want+`}`) {
			t.Errorf("%s: got %s, want %s", sent, text, want)
		}
		again, err := ParseStored(rt, []byte(text))
		if err != nil || !Equal(again, r) {
			t.Errorf("%s: read back as %v, %v", sent, again, err)
		}
		if marshalled, err := json.Marshal(r["dec"]); err != nil || number(marshalled) == "" || marshalled[0] == '"' {
			t.Errorf("%s: in the log as %s, %v", sent, marshalled, err)
		}
		f, err := ParseFilter("dec eq " + sent)
		if err == nil {
			f, err = f.Bind(rt, Strict)
		}
		if err != nil || !f.Match(rt, r, Common{}) {
			t.Errorf("dec eq %s: %v, want a match", sent, err)
		}
	}
	for _, sent := range []string{"1e400", "1e-400", "1e999999999999", "0." + strings.Repeat("1", 64), strings.Repeat("9", 65), `"1"`} {
		_, err := Decode(rt, []byte(`{"schemas":["`+rt.Core.ID+`"],"identifier":"x","dec":`+sent+`}`), Strict)
		refusedAs(t, sent, err, "invalidValue", "dec must be a number")
	}
}

// Decimals have the order and the values of the rational numbers that they are.
func TestDecimalsAreExact(t *testing.T) {
	number := rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?`)
	rapid.Check(t, func(t *rapid.T) {
		texts := [2]string{number.Draw(t, "a"), number.Draw(t, "b")}
		var values [2]any
		var rationals [2]*big.Rat
		for i, text := range texts {
			v, ok := parseDecimal(text)
			if !ok {
				t.Fatalf("%s is refused", text)
			}
			d, _ := numberOf(v)
			printed, ok := new(big.Rat).SetString(d.String())
			rational, _ := new(big.Rat).SetString(text)
			if !ok || printed.Cmp(rational) != 0 {
				t.Fatalf("%s is printed as %s", text, d)
			}
			values[i], rationals[i] = v, rational
		}
		if got, ok := compareNumbers(values[0], values[1]); !ok || cmp.Compare(got, 0) != rationals[0].Cmp(rationals[1]) {
			t.Fatalf("%s and %s compare as %d", texts[0], texts[1], got)
		}
	})
}

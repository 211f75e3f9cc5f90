package scim

import (
	"cmp"
	"strconv"
	"strings"
)

// A Decimal is a value of type decimal with more digits than a float64 keeps,
// as JSON writes it: no digit is lost between a request and the answers (RFC
// 7643 §2.3.3). Whatever a float64 keeps is one.
type Decimal string

// MarshalJSON returns the number itself.
func (d Decimal) MarshalJSON() ([]byte, error) { return []byte(d), nil }

const (
	maxDecimal = 64  // bytes of a decimal as a client writes it; what is stored may be longer
	maxPoint   = 400 // of the largest and the smallest power of ten: no double is beyond
)

// parseDecimal reads a JSON number that a client wrote: a float64 where that keeps
// every digit, else a Decimal. A number that is longer than 64 characters, or beyond
// the range of a float64, is refused.
func parseDecimal(text string) (any, bool) {
	if len(text) > maxDecimal {
		return nil, false
	}
	return storedDecimal(text)
}

// storedDecimal is parseDecimal for a number of any length.
func storedDecimal(text string) (any, bool) {
	d, ok := digitsOf(text)
	if !ok {
		return nil, false
	}
	f, err := strconv.ParseFloat(text, 64)
	switch {
	case d.all == "":
		return 0.0, true // whatever its sign
	case err != nil || f == 0:
		return nil, false
	}
	if kept, _ := digitsOf(strconv.FormatFloat(f, 'g', -1, 64)); kept == d {
		return f, true
	}
	return Decimal(d.String()), true
}

// digits are a decimal's: its value is 0.all × 10^point, negative or not.
type digits struct {
	negative bool
	all      string // without zeros at either end; "" is zero
	point    int
}

func digitsOf(text string) (d digits, ok bool) {
	text, d.negative = strings.CutPrefix(text, "-")
	mantissa, exponent, scaled := cutExponent(text)
	whole, fraction, _ := strings.Cut(mantissa, ".")
	d.point = len(whole)
	if scaled {
		e, err := strconv.Atoi(exponent)
		if err != nil || e < -maxPoint || maxPoint < e {
			return d, false
		}
		d.point += e
	}
	all := strings.TrimLeft(whole+fraction, "0")
	d.point -= len(whole+fraction) - len(all)
	if d.all = strings.TrimRight(all, "0"); d.all == "" {
		return digits{}, true
	}
	return d, -maxPoint <= d.point && d.point <= maxPoint
}

func cutExponent(text string) (mantissa, exponent string, scaled bool) {
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		return text[:i], text[i+1:], true
	}
	return text, "", false
}

// String writes the number in full where that is short, else with an exponent.
func (d digits) String() string {
	sign, n := "", len(d.all)
	if d.negative {
		sign = "-"
	}
	switch {
	case n == 0:
		return "0"
	case -6 < d.point && d.point <= 0:
		return sign + "0." + strings.Repeat("0", -d.point) + d.all
	case 0 < d.point && d.point < n:
		return sign + d.all[:d.point] + "." + d.all[d.point:]
	case n <= d.point && d.point <= maxDecimal/2:
		return sign + d.all + strings.Repeat("0", d.point-n)
	}
	text := sign + d.all[:1]
	if n > 1 {
		text += "." + d.all[1:]
	}
	return text + "e" + strconv.Itoa(d.point-1)
}

// compare orders two decimals by their value.
func (d digits) compare(other digits) int {
	if a, b := d.sign(), other.sign(); a != b || a == 0 {
		return cmp.Compare(a, b)
	}
	order := cmp.Or(cmp.Compare(d.point, other.point), cmp.Compare(d.all, other.all))
	return d.sign() * order
}

func (d digits) sign() int {
	switch {
	case d.all == "":
		return 0
	case d.negative:
		return -1
	}
	return 1
}

// compareNumbers orders two numbers of a resource or filter; false where one of
// them is none.
func compareNumbers(a, b any) (order int, ok bool) {
	x, number := numberOf(a)
	y, also := numberOf(b)
	return x.compare(y), number && also
}

func numberOf(v any) (digits, bool) {
	switch v := v.(type) {
	case int64:
		return digitsOf(strconv.FormatInt(v, 10))
	case float64:
		return digitsOf(strconv.FormatFloat(v, 'g', -1, 64))
	case Decimal:
		return digitsOf(string(v))
	}
	return digits{}, false
}

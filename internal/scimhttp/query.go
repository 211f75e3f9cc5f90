package scimhttp

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
)

// known are the query parameters that mean something here, in lower case;
// others are ignored (RFC 7644 §3.4.2). Sorting is not supported, which
// ServiceProviderConfig says, and then ignored.
var known = map[string]bool{
	"filter": true, "startindex": true, "count": true,
	"attributes": true, "excludedattributes": true,
	"sortby": true, "sortorder": true,
}

// lists are those of them whose values add up.
var lists = map[string]bool{"attributes": true, "excludedattributes": true}

// parameters reads the query: names in any letter case, values form-encoded,
// a semicolon being a character like others. Lists of attributes that are given in
// several parts are one list; any other known parameter given twice is refused,
// because intermediaries disagree about which one counts.
func parameters(rawQuery string) (map[string]string, error) {
	values := map[string]string{}
	for rawQuery != "" {
		var pair string
		pair, rawQuery, _ = strings.Cut(rawQuery, "&")
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		name = strings.ToLower(name)
		if err != nil || !known[name] {
			continue
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return nil, scim.BadValue("the parameter %s is not properly percent-encoded", name)
		}
		before, twice := values[name]
		switch {
		case twice && !lists[name]:
			return nil, scim.BadValue("the parameter %s is given twice", name)
		case twice:
			value = before + "," + value
		}
		values[name] = value
	}
	return values, nil
}

// query reads what a list request asks for.
func (c *call) query(rt *scim.ResourceType) (store.Query, view, error) {
	values, err := parameters(c.request.URL.RawQuery)
	if err != nil {
		return store.Query{}, view{}, err
	}
	v, err := newView(rt, values)
	if err != nil {
		return store.Query{}, view{}, err
	}
	query := store.Query{}
	if query.StartIndex, err = number(values, "startindex", 1); err != nil {
		return store.Query{}, view{}, err
	}
	if query.Count, err = count(values); err != nil {
		return store.Query{}, view{}, err
	}
	query.StartIndex = max(query.StartIndex, 1)
	if query.Filter, err = c.filter(rt, values); query.Filter != nil {
		c.dir.Noted(query.Filter.Notes)
	}
	return query, v, err
}

func (c *call) filter(rt *scim.ResourceType, values map[string]string) (*scim.Filter, error) {
	text, given := values["filter"]
	if !given {
		return nil, nil
	}
	f, err := scim.ParseFilter(text)
	if err != nil {
		return nil, err
	}
	return f.Refer(c.base()).Bind(rt, c.profile())
}

// unlimited asks the store for its usual page.
const unlimited = -1

// count reads how many resources are wanted: a negative number means none (RFC
// 7644 §3.4.2.4).
func count(values map[string]string) (int, error) {
	if _, given := values["count"]; !given {
		return unlimited, nil
	}
	n, err := number(values, "count", 0)
	return max(n, 0), err
}

// number reads a whole number. What is too large for any list is as good as the
// largest; what is no whole number is refused.
func number(values map[string]string, name string, absent int) (int, error) {
	text, given := values[name]
	if !given {
		return absent, nil
	}
	const most = 1 << 30
	digits := strings.TrimPrefix(strings.TrimPrefix(text, "-"), "+")
	if digits == "" || strings.Trim(digits, "0123456789") != "" || len(digits) > 32 {
		return 0, scim.BadValue("%s must be a whole number", name)
	}
	n, err := strconv.Atoi(text)
	if err != nil && strings.HasPrefix(text, "-") {
		return -most, nil
	}
	if err != nil {
		return most, nil
	}
	return min(max(n, -most), most), nil
}

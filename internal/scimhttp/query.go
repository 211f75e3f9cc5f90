package scimhttp

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
)

// known are the query parameters that mean something here, in lower case;
// others are ignored (RFC 7644 §3.4.2, RFC 9865 §2).
var known = map[string]bool{
	"filter": true, "startindex": true, "count": true, "cursor": true,
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

// query reads what a list request asks for of resources of the given types.
// What it shall show is a view's business.
func (c *call) query(types []*scim.ResourceType, values map[string]string) (store.Query, error) {
	query := store.Query{Types: types, Base: c.base()}
	if err := paging(&query, values); err != nil {
		return query, err
	}
	if text, given := values["filter"]; given {
		f, err := scim.ParseFilter(text)
		if err != nil {
			return query, err
		}
		if query.Filters, err = f.Refer(query.Base).BindAll(types, c.profile()); err != nil {
			return query, err
		}
		if err := c.checkSensitive(types, query.Filters); err != nil {
			return query, err
		}
		c.dir.Noted(query.Filters[0].Notes)
	}
	var err error
	query.Sort, err = scim.ParseSort(types, values["sortby"], values["sortorder"], c.profile())
	return query, err
}

// unlimited asks the store for its usual page.
const unlimited = -1

// paging reads which page is wanted: by index (RFC 7644 §3.4.2.4), which is the
// default, or by cursor (RFC 9865 §2). A negative count means none.
func paging(query *store.Query, values map[string]string) error {
	query.Cursor, query.ByCursor = values["cursor"], hasKey(values, "cursor")
	if query.ByCursor && hasKey(values, "startindex") {
		return scim.BadValue("startIndex and cursor exclude each other")
	}
	var err error
	if query.StartIndex, err = number(values, "startindex", 1); err != nil {
		return err
	}
	query.Count, err = number(values, "count", unlimited)
	switch {
	case err != nil && query.ByCursor:
		return scim.BadCount("%s", err.(*scim.Error).Detail)
	case hasKey(values, "count"):
		query.Count = max(query.Count, 0)
	}
	return err
}

func hasKey(values map[string]string, name string) bool {
	_, ok := values[name]
	return ok
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

package login_test

import (
	"html"
	"regexp"
)

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

func unescape(s string) string { return html.UnescapeString(s) }

package login

import (
	"strings"
	"testing"
)

// TestAbuse_I12: an address that can be read in two ways has no domain, so it leads to nobody.
func TestAbuse_I12(t *testing.T) {
	for address, want := range map[string]string{
		"jamie@ringling.example":               "ringling.example",
		"jamie@RINGLING.Example":               "ringling.example",
		"o'neil+x@sub.ringling.example":        "sub.ringling.example",
		"a@evil.example@acme.com":              "",
		`"a@acme.com"@evil.com`:                "",
		`"a"@evil.com`:                         "",
		"a b@acme.com":                         "",
		"@acme.com":                            "",
		"a@":                                   "",
		"a":                                    "",
		"a@localhost":                          "",
		"a@127.0.0.1":                          "",
		"a@[127.0.0.1]":                        "",
		"a@acme.com.":                          "",
		"a@-acme.com":                          "",
		"a@acme..com":                          "",
		"a@acmé.com":                           "",
		"a@acme.com\x00":                       "",
		"a@acme.com\n":                         "",
		strings.Repeat("a", 250) + "@acme.com": "",
	} {
		if got, ok := emailDomain(address); got != want || ok != (want != "") {
			t.Errorf("emailDomain(%q) = %q, %t; want %q", address, got, ok, want)
		}
	}
}

func FuzzEmailDomain(f *testing.F) {
	for _, seed := range []string{"jamie@ringling.example", `"a@acme.com"@evil.com`, "a@evil@acme.com", "a@acme.com."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		domain, ok := emailDomain(address)
		if !ok {
			return
		}
		if strings.Count(address, "@") != 1 || !strings.HasSuffix(strings.ToLower(address), "@"+domain) || strings.Trim(domain, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
			t.Errorf("emailDomain(%q) = %q", address, domain)
		}
	})
}

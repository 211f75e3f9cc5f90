package main

import (
	"context"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
)

// A visit is how one sign-in ended: in the application, or on a page that says
// why not.
type visit struct {
	Status        int
	Title, Reason string `json:",omitempty"`
	Token         tokenAnswer
	Claims        tokenClaims
}

func (v visit) allowed() bool { return v.Status == http.StatusOK && v.Reason == "" }

var (
	titleOnPage  = regexp.MustCompile(`<h1>([^<]*)</h1>`)
	reasonOnPage = regexp.MustCompile(`Reason: ([a-z_]+)`)
)

// signIn goes the whole way as a browser would: application, Muster, identity
// provider, Muster, application.
func (d *demo) signIn(ctx context.Context, c circus) (visit, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return visit{}, err
	}
	query := url.Values{"tenant": {c.Slug}, "login_hint": {jamie + "@" + c.domain}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.address(timesheetAt)+"/login?"+query.Encode(), nil)
	if err != nil {
		return visit{}, err
	}
	request.Header.Set("Accept", "application/json")
	browser := &http.Client{Jar: jar}
	response, err := browser.Do(request)
	if err != nil {
		return visit{}, err
	}
	defer response.Body.Close()
	const most = 1 << 20
	body, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err != nil {
		return visit{}, err
	}
	return readVisit(response, body)
}

func readVisit(response *http.Response, body []byte) (visit, error) {
	v := visit{Status: response.StatusCode}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		return v, json.Unmarshal(body, &v)
	}
	v.Reason = "unknown"
	if found := titleOnPage.FindSubmatch(body); found != nil {
		v.Title = html.UnescapeString(string(found[1]))
	}
	if found := reasonOnPage.FindSubmatch(body); found != nil {
		v.Reason = string(found[1])
	}
	return v, nil
}

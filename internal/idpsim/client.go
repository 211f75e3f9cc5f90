package idpsim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	requestTimeout = 60 * time.Second // Okta closes the socket then
	maxAttempts    = 10               // Okta's number of tries
	maxPause       = 30 * time.Second
	maxAnswer      = 64 << 20
)

// call is one SCIM request: the path, with its query, is relative to the base URL.
type call struct {
	method, path string
	body         any // nil for none
}

// ResponseError is an answer that is not a success, after the last attempt.
type ResponseError struct {
	Method, Path     string
	Status           int
	ScimType, Detail string
}

func (e *ResponseError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s: status %d %s %s", e.Method, e.Path, e.Status, e.ScimType, e.Detail))
}

// client sends calls with the headers of a persona and repeats those that were throttled,
// could not be served, or whose answer was lost.
type client struct {
	base    string // without a trailing slash
	header  http.Header
	http    *http.Client
	backoff time.Duration // before the second attempt; doubles
	sleep   func(context.Context, time.Duration) error
	retried func(call, string)
}

// newClient returns a client of the base URL that an admin typed: a trailing slash and
// feature flags in its query are dropped.
func newClient(scimURL string, header http.Header, connections int) (*client, error) {
	base, err := url.Parse(scimURL)
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("SCIM URL %q is not a URL", scimURL)
	}
	base.RawQuery, base.ForceQuery, base.Fragment = "", false, ""
	transport := &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections, IdleConnTimeout: 30 * time.Second}
	return &client{
		base:    strings.TrimRight(base.String(), "/"),
		header:  header,
		http:    &http.Client{Transport: transport, Timeout: requestTimeout},
		sleep:   sleep,
		retried: func(call, string) {},
	}, nil
}

func sleep(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// do sends what and decodes a successful answer into answer, unless that is nil. It reports
// whether the request was sent more than once: a POST that fails with a conflict may then
// have succeeded before.
func (c *client) do(ctx context.Context, what call, answer any) (repeated bool, err error) {
	for attempt := 1; ; attempt++ {
		response, body, err := c.once(ctx, what)
		pause, reason := c.pause(response, err, attempt)
		if reason == "" || attempt == maxAttempts || ctx.Err() != nil {
			return attempt > 1, finish(what, response, body, err, answer)
		}
		c.retried(what, reason)
		if err := c.sleep(ctx, pause); err != nil {
			return true, err
		}
	}
}

func (c *client) once(ctx context.Context, what call) (*http.Response, []byte, error) {
	var body io.Reader
	if what.body != nil {
		text, err := json.Marshal(what.body)
		if err != nil {
			return nil, nil, err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, what.method, c.base+what.path, body)
	if err != nil {
		return nil, nil, err
	}
	request.Header = c.header.Clone()
	if body != nil {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return response, text, err
}

// pause says how long to wait before the next attempt, and why; no reason means that there
// is none. Retry-After is honoured if it is a number of seconds.
func (c *client) pause(response *http.Response, err error, attempt int) (time.Duration, string) {
	pause := min(c.backoff<<(attempt-1), maxPause)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return pause, failed.Err.Error() // the request is named beside
	}
	if err != nil {
		return pause, err.Error()
	}
	switch response.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds >= 0 {
			pause = time.Duration(seconds) * time.Second
		}
		return pause, response.Status
	}
	return 0, ""
}

// finish turns the last answer into a result.
func finish(what call, response *http.Response, body []byte, err error, answer any) error {
	if err != nil {
		return fmt.Errorf("%s %s: %w", what.method, what.path, err)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		failure := &ResponseError{Method: what.method, Path: what.path, Status: response.StatusCode}
		var document struct{ ScimType, Detail string }
		if json.Unmarshal(body, &document) == nil {
			failure.ScimType, failure.Detail = document.ScimType, document.Detail
		}
		return failure
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("%s %s: answer: %w", what.method, what.path, err)
	}
	return nil
}

// hasStatus reports whether err is an answer with that status.
func hasStatus(err error, status int) bool {
	failure, ok := errors.AsType[*ResponseError](err)
	return ok && failure.Status == status
}

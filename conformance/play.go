package conformance

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// longestAnswer bounds what is read of one answer, in bytes.
const longestAnswer = 64 << 20

// Play sends the transcript's requests in order to the service provider at base
// ("https://example.com/t/acme/scim/v2") and compares the answers. It returns
// an error for the first that differs, with the request and what was got.
//
// Besides what a transcript captures, {base} is the base URL, {token} the
// token, and {nobody} an id that no resource has.
func Play(ctx context.Context, base, token string, t *Transcript) error {
	base = strings.TrimSuffix(base, "/")
	p := &player{
		base: base,
		client: &http.Client{
			Timeout:       time.Minute,
			Transport:     &http.Transport{DisableCompression: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		captured: captures{"base": base, "token": token, "nobody": randomID()},
	}
	defer p.client.CloseIdleConnections()
	for i, step := range t.Steps {
		if err := p.play(ctx, step); err != nil {
			return fmt.Errorf("%s: step %d: %s %s: %w", t.Name, i+1, step.Request.Method, step.Request.Target, err)
		}
	}
	return nil
}

type player struct {
	base     string
	client   *http.Client
	captured captures
}

func (p *player) play(ctx context.Context, step Step) error {
	request, err := p.request(ctx, step.Request)
	if err != nil {
		return err
	}
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, longestAnswer))
	if err != nil {
		return err
	}
	return p.compare(step.Want, response, body)
}

func (p *player) compare(want Response, got *http.Response, body []byte) error {
	if got.StatusCode != want.Status {
		return fmt.Errorf("got status %d, want %d; body: %s", got.StatusCode, want.Status, body)
	}
	for name, patterns := range want.Header {
		for _, pattern := range patterns {
			if err := p.captured.matchText(pattern, got.Header.Get(name)); err != nil {
				return fmt.Errorf("header %s: %w", name, err)
			}
		}
	}
	if err := p.captured.matchBody(want.Body, body); err != nil {
		return fmt.Errorf("body%w", err)
	}
	return nil
}

func (p *player) request(ctx context.Context, r Request) (*http.Request, error) {
	target, err := p.captured.fill(r.Target)
	if err != nil {
		return nil, err
	}
	body, err := p.captured.fill(r.Body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, p.base+encode(target), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header = http.Header{
		"Authorization": {"Bearer " + p.captured["token"]},
		"Accept":        {"application/scim+json"},
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/scim+json; charset=utf-8")
	}
	return request, p.setHeader(request, r.Header)
}

// setHeader sends the transcript's headers in the place of the customary ones.
func (p *player) setHeader(request *http.Request, header http.Header) error {
	for name, values := range header {
		request.Header.Del(name)
		for _, value := range values {
			filled, err := p.captured.fill(value)
			if err != nil {
				return err
			}
			if filled != "" {
				request.Header.Add(name, filled)
			}
		}
	}
	if agent, named := header["User-Agent"]; named && agent[0] == "" {
		request.Header["User-Agent"] = nil // net/http sends its own name otherwise
	}
	return nil
}

// encode makes a target that was written to be read into one that can be sent:
// what no URL may hold is percent-encoded, everything else stays as it is.
func encode(target string) string {
	var out strings.Builder
	for _, c := range []byte(target) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			fmt.Fprintf(&out, "%%%02X", c)
			continue
		}
		out.WriteByte(c)
	}
	return out.String()
}

// randomID returns a random UUID (RFC 9562 §5.4).
func randomID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

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

// A Provider is the service provider that is played to, and by whom.
type Provider struct {
	Base   string            // its base URL, "https://example.com/t/acme/scim/v2"
	Token  string            // a bearer token for it
	Actors map[string]string // what else transcripts may name: doc.go lists them
	Offers []string          // the features it has: see Probe
}

// An Answer is what came back for a request.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// player sends requests of one transcript, or one check, and keeps its captures.
type player struct {
	base     string
	client   *http.Client
	captured captures
}

func newPlayer(provider Provider) *player {
	base := strings.TrimSuffix(provider.Base, "/")
	captured := captures{"base": base, "token": provider.Token, "nobody": randomID()}
	for name, value := range provider.Actors {
		captured[name] = strings.TrimSuffix(value, "/")
	}
	return &player{base: base, captured: captured, client: &http.Client{
		Timeout:       time.Minute,
		Transport:     &http.Transport{DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (p *player) send(ctx context.Context, r Request) (Answer, error) {
	request, err := p.request(ctx, r)
	if err != nil {
		return Answer{}, err
	}
	response, err := p.client.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, longestAnswer))
	return Answer{response.StatusCode, response.Header, string(body)}, err
}

// compare reports the first difference between an answer and its pattern.
func (c captures) compare(want Response, got Answer) error {
	if got.Status != want.Status {
		return fmt.Errorf("got status %d, want %d; body: %s", got.Status, want.Status, got.Body)
	}
	for name, patterns := range want.Header {
		for _, pattern := range patterns {
			if err := c.matchHeader(pattern, got.Header.Get(name)); err != nil {
				return fmt.Errorf("header %s: %w", name, err)
			}
		}
	}
	if err := c.matchBody(want.Body, []byte(got.Body)); err != nil {
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
	url := p.base + encode(target)
	if strings.HasPrefix(target, "http://") || strings.HasPrefix(target, "https://") {
		url = encode(target) // another actor's base
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, url, strings.NewReader(body))
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

package conformance

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
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

	custody *custody // of a run beside other resources; nil: nobody else is there
}

// An Answer is what came back for a request, with the names that were asked with.
type Answer struct {
	Status int
	Header http.Header
	Body   string

	sent Request // as it went out: a custody gives names a prefix
	came string  // the body, as it came in
	lost bool    // it went out, and nobody knows what came of it
}

// shown is the request as reports show it: readable, its percent-encoding left to
// encode, and without a credential.
func (r Request) shown() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s\n", r.Method, r.Target)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, value := range r.Header[name] {
			if name == "Authorization" && value != "" {
				value = "…"
			}
			fmt.Fprintf(&out, "%s: %s\n", name, value)
		}
	}
	if r.Body != "" {
		fmt.Fprintf(&out, "\n%s", r.Body)
	}
	return strings.TrimSpace(out.String())
}

// shown is the answer as reports show it; "" where none came.
func (a Answer) shown() string {
	if a.Status == 0 {
		return ""
	}
	return strings.TrimSpace(strconv.Itoa(a.Status) + "\n" + a.came)
}

// player sends requests of one transcript, or one check, and keeps its captures.
type player struct {
	base     string
	client   *http.Client
	captured captures
	custody  *custody
}

func newPlayer(provider Provider) *player {
	base := strings.TrimSuffix(provider.Base, "/")
	captured := captures{"base": base, "token": provider.Token, "nobody": randomID()}
	for name, value := range provider.Actors {
		captured[name] = strings.TrimSuffix(value, "/")
	}
	return &player{base: base, captured: captured, custody: provider.custody, client: &http.Client{
		Timeout:       time.Minute,
		Transport:     &http.Transport{DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (p *player) send(ctx context.Context, r Request) (Answer, error) {
	written := r
	r, err := p.fill(r)
	if err != nil {
		return Answer{sent: written}, err
	}
	if p.custody == nil {
		return p.exchange(ctx, r)
	}
	return p.custody.send(r, func(r Request) (Answer, error) { return p.patient(ctx, r) })
}

// exchange sends a request that is filled in, unless ctx has ended. Once it is on its
// way it is given answerGrace after that: what it makes must be known, to be deleted.
func (p *player) exchange(ctx context.Context, r Request) (Answer, error) {
	if ctx.Err() != nil {
		return Answer{sent: r}, ErrInterrupted
	}
	onItsWay, cancel := outlive(ctx, answerGrace)
	defer cancel()
	request, err := p.request(onItsWay, r)
	if err != nil {
		return Answer{sent: r}, err
	}
	answer, err := p.ask(request)
	answer.sent = r
	if err != nil && onItsWay.Err() != nil {
		err = fmt.Errorf("%w: %w", ErrInterrupted, err)
	}
	return answer, err
}

// ask sends a request and reads the whole answer.
func (p *player) ask(request *http.Request) (Answer, error) {
	response, err := p.client.Do(request)
	if err != nil {
		op, ok := errors.AsType[*net.OpError](err)
		return Answer{lost: !ok || op.Op != "dial"}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, longestAnswer))
	return Answer{Status: response.StatusCode, Header: response.Header, Body: string(body), came: string(body), lost: err != nil}, err
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

// fill puts what was captured into a request.
func (p *player) fill(r Request) (Request, error) {
	var err error
	if r.Target, err = p.captured.fill(r.Target); err != nil {
		return r, err
	}
	if r.Body, err = p.captured.fill(r.Body); err != nil {
		return r, err
	}
	header := http.Header{}
	for name, values := range r.Header {
		for _, value := range values {
			filled, err := p.captured.fill(value)
			if err != nil {
				return r, err
			}
			header.Add(name, filled)
		}
	}
	r.Header = header
	return r, nil
}

// request is what is sent: with the transcript's headers in the place of the customary
// ones.
func (p *player) request(ctx context.Context, r Request) (*http.Request, error) {
	url := p.base + encode(r.Target)
	if strings.HasPrefix(r.Target, "http://") || strings.HasPrefix(r.Target, "https://") {
		url = encode(r.Target) // another actor's base
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, url, strings.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	request.Header = http.Header{
		"Authorization": {"Bearer " + p.captured["token"]},
		"Accept":        {"application/scim+json"},
	}
	if r.Body != "" {
		request.Header.Set("Content-Type", "application/scim+json; charset=utf-8")
	}
	for name, values := range r.Header {
		request.Header.Del(name)
		for _, value := range values {
			if value != "" {
				request.Header.Add(name, value)
			}
		}
	}
	if agent, named := r.Header["User-Agent"]; named && agent[0] == "" {
		request.Header["User-Agent"] = nil // net/http sends its own name otherwise
	}
	return request, nil
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

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A client speaks just enough HTTP/1.1 over one connection to load a server
// while using little CPU itself.
type client struct {
	conn   net.Conn
	reader *bufio.Reader
	host   string
	head   string // header lines of every request
	body   []byte // of the last answer
}

func dial(address, authorization string) (*client, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &client{
		conn: conn, reader: bufio.NewReaderSize(conn, 64<<10), host: address,
		head: " HTTP/1.1\r\nHost: " + address + "\r\nAuthorization: " + authorization + "\r\nContent-Type: application/scim+json\r\nContent-Length: ",
	}, nil
}

// do sends one request and answers its status; the body stays in c.body.
func (c *client) do(method, path, body string) (int, error) {
	request := method + " " + path + c.head + strconv.Itoa(len(body)) + "\r\n\r\n" + body
	if _, err := io.WriteString(c.conn, request); err != nil {
		return 0, err
	}
	line, err := c.reader.ReadSlice('\n')
	if err != nil || len(line) < 12 {
		return 0, fmt.Errorf("status line %q: %w", line, err)
	}
	status, _ := strconv.Atoi(string(line[9:12]))
	length := -1
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			break
		}
		if name, value, ok := strings.Cut(string(line), ":"); ok && strings.EqualFold(name, "Content-Length") {
			length, _ = strconv.Atoi(strings.TrimSpace(value))
		} else if ok && strings.EqualFold(name, "Transfer-Encoding") {
			return 0, errors.New("chunked answers are not read here")
		}
	}
	if status == 204 || length < 0 {
		length = 0
	}
	c.body = slices.Grow(c.body[:0], length)[:length]
	_, err = io.ReadFull(c.reader, c.body)
	return status, err
}

// A result is one cell.
type result struct {
	n         int
	took      time.Duration
	latencies []time.Duration
	used      usage
}

func (r result) perSecond() float64 { return float64(r.n) / r.took.Seconds() }

func (r result) percentile(p float64) time.Duration {
	if len(r.latencies) == 0 {
		return 0
	}
	slices.Sort(r.latencies)
	return r.latencies[min(int(p*float64(len(r.latencies))), len(r.latencies)-1)]
}

// measure runs clients loops for the length of a cell. prepare makes one loop
// and answers what it repeats.
func (w *world) measure(ctx context.Context, clients int, prepare func(i int) (func() error, error)) (result, error) {
	return w.measureTurns(ctx, clients, w.length, func(i int) (func() error, func(), error) {
		do, err := prepare(i)
		return do, func() {}, err
	})
}

// rest is what the background needs to number the changes that were made: those of the
// cell before, raw ones too, are not on this one's account, and its own are.
const rest = 500 * time.Millisecond

// measureTurns is measure with something to wait for before each turn, which
// does not count.
func (w *world) measureTurns(ctx context.Context, clients int, length time.Duration, prepare func(i int) (do func() error, wait func(), err error)) (result, error) {
	loops := make([]loop, clients)
	for i := range loops {
		do, wait, err := prepare(i)
		if err != nil {
			return result{}, err
		}
		if err := do(); err != nil { // connect and prepare statements before the clock starts
			return result{}, err
		}
		loops[i] = loop{do: do, wait: wait}
	}
	time.Sleep(rest)
	before, err := w.usage()
	if err != nil {
		return result{}, err
	}
	begun := time.Now()
	var wg sync.WaitGroup
	for i := range loops {
		wg.Go(func() { loops[i].run(ctx, begun.Add(length)) })
	}
	wg.Wait()
	total := result{took: time.Since(begun)}
	time.Sleep(rest)
	after, err := w.usage()
	total.used = after.minus(before)
	for _, l := range loops {
		total.latencies = append(total.latencies, l.latencies...)
		err = errors.Join(err, l.err)
	}
	total.n = len(total.latencies)
	return total, errors.Join(err, ctx.Err())
}

// A loop is one client that repeats one thing.
type loop struct {
	do        func() error
	wait      func()
	latencies []time.Duration
	err       error
}

func (l *loop) run(ctx context.Context, deadline time.Time) {
	for time.Now().Before(deadline) && ctx.Err() == nil {
		l.wait()
		begun := time.Now()
		if l.err = l.do(); l.err != nil {
			return
		}
		l.latencies = append(l.latencies, time.Since(begun))
	}
}

const header = "scenario                         clients      /s   p50 ms   p99 ms   server  database    load   cpu-ms   to raw"

// print writes one line; CPU is per request, cpu-ms is server and database.
func (r result) print(name string, clients int, raw *result) {
	n := float64(max(r.n, 1))
	ms := func(d time.Duration) float64 { return float64(d) / 1e6 }
	line := fmt.Sprintf("%-32s %7d %7.0f %8.2f %8.2f %8.3f %9.3f %7.3f %8.3f", name, clients, r.perSecond(),
		ms(r.percentile(0.5)), ms(r.percentile(0.99)), ms(r.used.server)/n, ms(r.used.database)/n, ms(r.used.load)/n,
		ms(r.used.server+r.used.database)/n)
	if raw != nil {
		line += fmt.Sprintf("   %.2f", r.perSecond()/raw.perSecond())
	}
	fmt.Println(line)
}

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

// measure runs `clients` loops for the length of a cell. make prepares one
// loop and answers what it repeats.
func (w *world) measure(ctx context.Context, clients int, prepare func(i int) (func() error, error)) (result, error) {
	loops := make([]func() error, clients)
	for i := range loops {
		loop, err := prepare(i)
		if err != nil {
			return result{}, err
		}
		if err := loop(); err != nil { // connect and prepare statements before the clock starts
			return result{}, err
		}
		loops[i] = loop
	}
	before, err := w.usage()
	if err != nil {
		return result{}, err
	}
	begun := time.Now()
	deadline := begun.Add(w.cell)
	results := make([]result, clients)
	errs := make([]error, clients)
	var wg sync.WaitGroup
	for i, loop := range loops {
		wg.Go(func() {
			for at := time.Now(); at.Before(deadline) && ctx.Err() == nil; {
				if errs[i] = loop(); errs[i] != nil {
					return
				}
				now := time.Now()
				results[i].latencies = append(results[i].latencies, now.Sub(at))
				at = now
			}
		})
	}
	wg.Wait()
	total := result{took: time.Since(begun)}
	after, err := w.usage()
	total.used = after.minus(before)
	for _, r := range results {
		total.latencies = append(total.latencies, r.latencies...)
	}
	total.n = len(total.latencies)
	return total, errors.Join(append(errs, err, ctx.Err())...)
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

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
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

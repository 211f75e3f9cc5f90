package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxSecret bounds what is read as a secret.
const maxSecret = 64 << 10

// readSecret reads the first line of a file, or of standard input for "-". No
// secret is ever an argument: everybody on the machine can read those.
func (p *program) readSecret(path, what string) (string, error) {
	if path == "" {
		return "", nil
	}
	from := p.in
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return "", usagef("%s: %v", what, err)
		}
		defer file.Close()
		from = file
	}
	line, err := bufio.NewReader(io.LimitReader(from, maxSecret)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", usagef("%s: %v", what, err)
	}
	secret := strings.TrimRight(line, "\r\n")
	if secret == "" {
		return "", usagef("%s: %s is empty; the secret stands in its first line", what, path)
	}
	return secret, nil
}

// showOnce prints a secret after what it belongs to. It is not kept anywhere.
func (p *program) showOnce(what, secret string) {
	fmt.Fprintf(p.out, "\n%s, shown this once:\n%s\n", what, secret)
}

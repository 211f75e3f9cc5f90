package server

import (
	"crypto/tls"
	"net"
	"os"
	"sync"
	"time"
)

// Encrypted makes a listener of TLS 1.2 and 1.3 out of a plain one (RFC 7644 §7.2, BCP
// 195), with the certificate chain and the key in two PEM files. The files are read
// again when the first has changed, so that a renewal needs no restart; while they do
// not fit one another the former certificate is used.
func Encrypted(listener net.Listener, certificate, key string) (net.Listener, error) {
	pair := &keyPair{certificate: certificate, key: key}
	if _, err := pair.read(); err != nil {
		return nil, err
	}
	return tls.NewListener(listener, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.read() },
	}), nil
}

// keyPair is a certificate and its key in files that are renewed now and then.
type keyPair struct {
	certificate, key string // names of files

	mu       sync.Mutex
	current  *tls.Certificate
	modified time.Time // of the certificate's file when it was read
}

func (p *keyPair) read() (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	stat, err := os.Stat(p.certificate)
	if err == nil && p.current != nil && stat.ModTime().Equal(p.modified) {
		return p.current, nil
	}
	renewed, err := tls.LoadX509KeyPair(p.certificate, p.key)
	switch {
	case err == nil && stat != nil:
		p.current, p.modified = &renewed, stat.ModTime()
	case p.current == nil:
		return nil, err
	}
	return p.current, nil
}

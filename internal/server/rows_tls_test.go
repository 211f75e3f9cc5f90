package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/muster-id/muster/conformance"
	"github.com/muster-id/muster/internal/server"
)

// tlsRows show that a server is reached by TLS: one that is public says https of itself
// or does not start, and where it speaks TLS itself, it speaks 1.2 and 1.3.
func tlsRows(t *testing.T, c *conforming) {
	c.Row(t, "X03 AA11", func(trial *conformance.Trial) {
		trial.Expect(trial.Send("GET /Users"), "200\n...")
		_, err := server.New(server.Config{Store: c.world.store, PublicURL: "http://muster.example"})
		trial.Check(err != nil, "a public URL without TLS was taken")
		certificate, key := certificateFiles(t, t.TempDir(), 1)
		address := encrypted(t, c.world.router, certificate, key)
		for version, allowed := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
			_, err := shake(t, address, version)
			trial.Check((err == nil) == allowed, "%s: got %v, want allowed %t", tls.VersionName(version), err, allowed)
		}
		response, err := http.Get("http://" + address + "/healthz")
		trial.Check(err == nil && response.StatusCode == http.StatusBadRequest, "plain HTTP where TLS is spoken: %v, %v", response, err)
		response.Body.Close()
	})
}

// encrypted serves TLS on loopback until the test ends, and returns the address.
func encrypted(t *testing.T, handler http.Handler, certificate, key string) string {
	t.Helper()
	plain := listen(t)
	listener, err := server.Encrypted(plain, certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	go s.Serve(listener)
	t.Cleanup(func() { s.Close() })
	return plain.Addr().String()
}

// shake connects by that version of TLS only, and returns the number of the certificate.
func shake(t *testing.T, address string, version uint16) (serial int64, err error) {
	t.Helper()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version}}
	connection, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	return connection.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}

// certificateFiles writes a certificate of that number, and its key.
func certificateFiles(t *testing.T, folder string, serial int64) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"muster.example"}, NotAfter: time.Now().Add(time.Hour)}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(folder, "certificate.pem"), filepath.Join(folder, "key.pem")
	for name, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: signed}, key: {Type: "PRIVATE KEY", Bytes: encoded}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

// A certificate that is renewed is used without a restart, and one that cannot be read
// leaves the former in use.
func TestARenewedCertificateIsUsed(t *testing.T) {
	folder := t.TempDir()
	certificate, key := certificateFiles(t, folder, 1)
	address := encrypted(t, http.NotFoundHandler(), certificate, key)
	shows := func(want int64) {
		t.Helper()
		if got, err := shake(t, address, tls.VersionTLS13); err != nil || got != want {
			t.Errorf("got certificate %d, %v; want %d", got, err, want)
		}
	}
	shows(1)
	certificateFiles(t, folder, 2)
	later(t, certificate, time.Second)
	shows(2)
	if err := os.WriteFile(certificate, []byte("half of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	later(t, certificate, 2*time.Second)
	shows(2)
	if err := os.Remove(certificate); err != nil {
		t.Fatal(err)
	}
	shows(2)
	certificateFiles(t, folder, 3)
	later(t, certificate, 3*time.Second)
	shows(3)
	if _, err := server.Encrypted(listen(t), certificate+"x", key); err == nil {
		t.Error("a server starts without its certificate")
	}
}

// later dates a file so that it was changed, whatever the clock of the file system tells.
func later(t *testing.T, name string, by time.Duration) {
	t.Helper()
	at := time.Now().Add(by)
	if err := os.Chtimes(name, at, at); err != nil {
		t.Fatal(err)
	}
}

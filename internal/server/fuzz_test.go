package server_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/conformance"
	"github.com/muster-id/muster/internal/fetch"
	"github.com/muster-id/muster/internal/login"
	"github.com/muster-id/muster/internal/server"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// FuzzHTTP sends any method, target, type and body under a tenant's base with a token
// that holds. Whatever it is, it is answered in the words of SCIM, and never by a fault
// of ours.
func FuzzHTTP(f *testing.F) {
	f.Add("GET", `/Users?filter=userName eq "a"&count=1&startIndex=1&sortBy=userName`, "", "")
	f.Add("POST", "/Users", "application/scim+json", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"a","emails":[{"value":"a@b.c","type":"work"}]}`)
	f.Add("POST", "/.search", "application/json", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"userName pr","cursor":""}`)
	f.Add("POST", "/Bulk", "", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[{"method":"POST","path":"/Users","bulkId":"x","data":{"userName":"b"}}]}`)
	transcripts, err := conformance.Transcripts()
	if err != nil {
		f.Fatal(err)
	}
	for _, t := range transcripts {
		for _, step := range t.Steps {
			f.Add(step.Request.Method, step.Request.Target, step.Request.Header.Get("Content-Type"), step.Request.Body)
		}
	}
	handler, token := fuzzed(f)
	f.Fuzz(func(t *testing.T, method, target, kind, body string) {
		if len(target)+len(body) > 64<<10 || strings.ContainsAny(method, " \r\n") || method == "" {
			return
		}
		path, query, _ := strings.Cut(target, "?")
		address := &url.URL{Scheme: "http", Host: "muster.example", Path: "/t/acme/scim/v2" + path, RawQuery: query}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		request := (&http.Request{
			Method: method, URL: address, Host: address.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header:     http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {kind}},
			RemoteAddr: "192.0.2.1:1234", Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		}).WithContext(ctx)
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		checkFuzzed(t, method, recorder)
	})
}

func checkFuzzed(t *testing.T, method string, got *httptest.ResponseRecorder) {
	t.Helper()
	if got.Code >= 500 && got.Code != http.StatusNotImplemented {
		t.Fatalf("got %d: %s", got.Code, got.Body)
	}
	if got.Code == http.StatusUnauthorized {
		t.Fatalf("the token held, and was refused: %s", got.Body)
	}
	if got.Body.Len() > 0 && method != http.MethodHead && !json.Valid(got.Body.Bytes()) {
		t.Fatalf("got %d and no JSON: %.300s", got.Code, got.Body)
	}
}

// fuzzed is a server with a tenant, and a token of it.
func fuzzed(f *testing.F) (http.Handler, string) {
	f.Helper()
	st := storetest.New(f)
	ctx, v := f.Context(), st.Vendor("test")
	if _, err := v.CreateTenant(ctx, registry.NewTenant{Slug: "acme"}); err != nil {
		f.Fatal(err)
	}
	if _, err := v.AddConnection(ctx, "acme", registry.Connection{Name: "entra", Kind: "entra"}); err != nil {
		f.Fatal(err)
	}
	token, _, err := v.CreateToken(ctx, "acme", "entra", registry.NewToken{Name: "test"})
	if err != nil {
		f.Fatal(err)
	}
	s, err := server.New(server.Config{
		Store: st, PublicURL: "https://muster.example", Metrics: server.NewMetrics(), Limits: unlimited(),
		Log:   slog.New(slog.DiscardHandler),
		Login: login.Config{Fetch: fetch.NewClient(fetch.Config{AllowLoopback: true})},
	})
	if err != nil {
		f.Fatal(err)
	}
	return s.Handler(), token
}

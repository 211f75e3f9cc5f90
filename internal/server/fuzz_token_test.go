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

	"github.com/muster-id/muster/internal/fetch"
	"github.com/muster-id/muster/internal/login"
	"github.com/muster-id/muster/internal/server"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// FuzzTokenRequest sends any form, with any Authorization and type, to a tenant's token
// endpoint, at which one client has a secret and another is proved by assertions.
// Whatever it is, it is answered in the words of OAuth, never by a fault of ours, and
// nobody is given a token who does not bring the secret.
func FuzzTokenRequest(f *testing.F) {
	handler, c, secret := tokenEndpoint(f)
	good := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ID.String()}, "client_secret": {secret}}.Encode()
	const form = "application/x-www-form-urlencoded"
	assertion := "&client_assertion_type=" + url.QueryEscape(jwtBearer) + "&client_assertion="
	f.Add("", form, good)
	f.Add("Basic "+basic(c.ID.String(), secret), form, "grant_type=client_credentials")
	f.Add("", form+"; charset=utf-8", good+"&scope=a+b&scope=c")
	f.Add("Bearer x", "application/json", `{"grant_type":"client_credentials"}`)
	f.Add("", form, "grant_type=client_credentials&client_id="+c.ID.String()+assertion+"e30.e30.e30")
	f.Add("", form, "grant_type=client_credentials"+assertion+"eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.")
	f.Add("Basic Og==", form, "grant_type=password&%zz=%00;a")
	f.Fuzz(func(t *testing.T, authorization, kind, body string) {
		if len(body) > 128<<10 {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		request := (&http.Request{
			Method: "POST", URL: &url.URL{Scheme: "http", Host: "muster.example", Path: "/t/acme/oauth/token"}, Host: "muster.example",
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Authorization": {authorization}, "Content-Type": {kind}},
			RemoteAddr: "192.0.2.1:1234", Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		}).WithContext(ctx)
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		checkTokenAnswer(t, recorder, brings(request, body, secret))
	})
}

// brings reports whether a request holds the secret, in whatever spelling.
func brings(r *http.Request, body, secret string) bool {
	_, password, _ := r.BasicAuth()
	password, _ = url.QueryUnescape(password)
	values, _ := url.ParseQuery(body)
	return password == secret || values.Get("client_secret") == secret
}

func checkTokenAnswer(t *testing.T, got *httptest.ResponseRecorder, mayHold bool) {
	t.Helper()
	var answer struct {
		AccessToken string `json:"access_token"`
		Error       string `json:"error"`
	}
	if err := json.Unmarshal(got.Body.Bytes(), &answer); err != nil || got.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d, %v: %.300s", got.Code, err, got.Body)
	}
	switch {
	case got.Code == http.StatusOK && mayHold && strings.HasPrefix(answer.AccessToken, registry.AccessPrefix):
	case got.Code == http.StatusUnauthorized && answer.Error == "invalid_client" && got.Header().Get("WWW-Authenticate") != "":
	case got.Code == http.StatusBadRequest && (answer.Error == "invalid_request" || answer.Error == "unsupported_grant_type"):
	default:
		t.Fatalf("got %d: %.300s", got.Code, got.Body)
	}
}

// tokenEndpoint is a server with a tenant that has a client with a secret, and one that
// assertions prove.
func tokenEndpoint(f *testing.F) (handler http.Handler, c registry.Client, secret string) {
	f.Helper()
	st := storetest.New(f)
	ctx, v := f.Context(), st.Vendor("test")
	must := func(err error) {
		if err != nil {
			f.Fatal(err)
		}
	}
	_, err := v.CreateTenant(ctx, registry.NewTenant{Slug: "acme"})
	must(err)
	_, err = v.AddConnection(ctx, "acme", registry.Connection{Name: "entra", Kind: "entra"})
	must(err)
	secret, c, err = v.AddClient(ctx, "acme", registry.Client{Connection: "entra", Name: "secret"}, time.Hour)
	must(err)
	_, _, err = v.AddClient(ctx, "acme", registry.Client{Connection: "entra", Name: "federated", Trust: registry.Trust{
		Issuer: "http://127.0.0.1:1", Subject: "sync", JWKSURI: "http://127.0.0.1:1/keys", Audiences: []string{"api://muster"},
	}}, 0)
	must(err)
	s, err := server.New(server.Config{
		Store: st, PublicURL: "https://muster.example", Metrics: server.NewMetrics(), Limits: unlimited(),
		Log:   slog.New(slog.DiscardHandler),
		Login: login.Config{Fetch: fetch.NewClient(fetch.Config{AllowLoopback: true})},
	})
	must(err)
	return s.Handler(), c, secret
}

package server

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
)

// quiet is a server without a store, for what surrounds every request.
func quiet(log *bytes.Buffer, clock ...time.Time) *Server {
	s := &Server{log: slog.New(slog.NewJSONHandler(log, nil)), metrics: NewMetrics(), now: func() time.Time { return time.Time{} }}
	if len(clock) > 0 {
		s.now = func() time.Time {
			now := clock[0]
			if len(clock) > 1 {
				clock = clock[1:]
			}
			return now
		}
	}
	return s
}

func (s *Server) around(routes func(chi.Router)) http.Handler {
	r := chi.NewRouter()
	r.Use(s.identify, s.observe, s.recover, limit)
	routes(r)
	return r
}

// A panic in a door is answered by a reference and nothing else, and the
// process goes on.
func TestPanicBecomesAReference(t *testing.T) {
	var log bytes.Buffer
	s := quiet(&log)
	handler := s.around(func(r chi.Router) {
		r.Get("/boom", func(http.ResponseWriter, *http.Request) { panic("host=secret") })
	})
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest("GET", "/boom", nil))
	id := recorder.Header().Get("X-Request-Id")
	if recorder.Code != http.StatusInternalServerError || strings.TrimSpace(recorder.Body.String()) != "internal error (reference "+id+")" {
		t.Errorf("got %d %q, want 500 and the reference %s", recorder.Code, recorder.Body, id)
	}
	if !strings.Contains(log.String(), "host=secret") || !strings.Contains(log.String(), id) {
		t.Errorf("the log does not hold the cause and the reference:\n%s", &log)
	}
}

func TestAbortIsNotAnswered(t *testing.T) {
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("got %v, want the abort passed on", p)
		}
	}()
	handler := quiet(&bytes.Buffer{}).around(func(r chi.Router) {
		r.Get("/", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	})
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
}

// One request is one line: the route, not the query; the socket's peer, not
// what a header says; bounded, whatever a client sends.
func TestAccessLog(t *testing.T) {
	var log bytes.Buffer
	began := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	s := quiet(&log, began, began.Add(1500*time.Microsecond))
	handler := s.around(func(r chi.Router) {
		r.Get("/t/{tenant}/callback/{connection}", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			w.Write([]byte("body"))
		})
	})
	request := httptest.NewRequest("GET", "/t/acme/callback/entra?code=secret-code&state=secret-state", nil)
	request.Header.Set("Authorization", "Bearer secret-token")
	request.Header.Set("Cookie", "session=secret-cookie")
	request.Header.Set("X-Forwarded-For", "203.0.113.9")
	request.Header.Set("User-Agent", strings.Repeat("a", 10_000))
	handler.ServeHTTP(httptest.NewRecorder(), request)

	var line map[string]any
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatalf("not one line of JSON: %v\n%s", err, &log)
	}
	for name, want := range map[string]any{
		"method": "GET", "route": "/t/{tenant}/callback/{connection}", "path": "/t/acme/callback/entra",
		"status": 418.0, "bytes": 4.0, "ms": 1.5, "peer": "192.0.2.1",
	} {
		if line[name] != want {
			t.Errorf("%s: got %v, want %v", name, line[name], want)
		}
	}
	if strings.Contains(log.String(), "secret") || strings.Contains(log.String(), "203.0.113.9") || log.Len() > 1000 {
		t.Errorf("the line holds what it should not:\n%s", &log)
	}
}

func TestEveryAnswerHasTheSecurityHeaders(t *testing.T) {
	handler := quiet(&bytes.Buffer{}).around(func(r chi.Router) { r.Get("/", func(http.ResponseWriter, *http.Request) {}) })
	for _, path := range []string{"/", "/nowhere"} {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest("GET", path, nil))
		for name, want := range map[string]string{
			"X-Content-Type-Options":  "nosniff",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
			"Referrer-Policy":         "no-referrer",
			"Cache-Control":           "no-store",
		} {
			if got := recorder.Header().Get(name); got != want {
				t.Errorf("GET %s: %s: got %q, want %q", path, name, got, want)
			}
		}
	}
}

// Request ids are made here, never taken from a client: a commit whose outcome
// is unclear is looked up by them.
func TestRequestIDsAreOurs(t *testing.T) {
	handler := quiet(&bytes.Buffer{}).around(func(r chi.Router) {
		r.Get("/", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(RequestID(r).String())) })
	})
	seen := map[string]bool{}
	for range 100 {
		request := httptest.NewRequest("GET", "/", nil)
		request.Header.Set("X-Request-Id", "0193a5b0-0000-7000-8000-000000000000")
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		id := recorder.Header().Get("X-Request-Id")
		if id != recorder.Body.String() || id[14] != '7' || seen[id] || id == request.Header.Get("X-Request-Id") {
			t.Fatalf("got id %q in the header, %q in the handler; want one new UUIDv7", id, recorder.Body)
		}
		seen[id] = true
	}
}

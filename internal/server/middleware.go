package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/google/uuid"
)

type requestIDKey struct{}

// RequestID returns the id that the server gave to r, a UUIDv7. It stands in
// the answer's X-Request-Id, in the log, and in everything the request writes.
func RequestID(r *http.Request) uuid.UUID {
	id, _ := r.Context().Value(requestIDKey{}).(uuid.UUID)
	return id
}

// identify gives the request its id, and the answer the headers that every
// answer has. A door that serves pages replaces the Content-Security-Policy.
func (s *Server) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := uuid.Must(uuid.NewV7())
		header := w.Header()
		header.Set("X-Request-Id", id.String())
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

// transportSecurity tells browsers to come back by HTTPS only.
func transportSecurity(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=63072000")
		next.ServeHTTP(w, r)
	})
}

func secure(publicURL string) bool { return strings.HasPrefix(publicURL, "https://") }

// observe writes one line of access log and counts the request. The line holds
// no query and no header but the user agent: values of a query may be secrets.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := s.now()
		answer := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		defer func() {
			took := s.now().Sub(began)
			status := answer.Status()
			if status == 0 {
				status = http.StatusOK
			}
			route := route(r)
			s.metrics.request(route, r.Method, status, took)
			s.log.InfoContext(r.Context(), "request",
				"request", RequestID(r), "method", r.Method, "route", route, "path", clip(r.URL.Path),
				"status", status, "bytes", answer.BytesWritten(), "ms", float64(took.Microseconds())/1000,
				"peer", peer(r), "agent", clip(r.UserAgent()))
		}()
		next.ServeHTTP(answer, r)
	})
}

// route is the pattern that r matched: few values, whatever clients send.
func route(r *http.Request) string {
	pattern := chi.RouteContext(r.Context()).RoutePattern()
	if pattern == "" {
		return "none"
	}
	return pattern
}

// peer is the address at the other end of the socket, or who that says it is
// where it is a proxy of ours: see [Config]. No other header is believed.
func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// clip bounds what a client can write into the log.
func clip(s string) string {
	const longest = 256
	if len(s) <= longest {
		return s
	}
	return s[:longest] + "…"
}

// recover is the last resort for a panic in a door: 500 with a reference, the
// stack in the log, and the process goes on.
func (s *Server) recover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p)
			default:
				s.log.ErrorContext(r.Context(), "panic", "request", RequestID(r), "panic", p, "stack", string(debug.Stack()))
				http.Error(w, fmt.Sprintf("internal error (reference %s)", RequestID(r)), http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// longest is how long one request may take: Okta hangs up after 60 seconds.
const longest = 30 * time.Second

// limit ends a request's work after that time.
func limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), longest)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

package server

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// A drain says that the server is about to stop, so that a load balancer sends
// no new requests.
type drain struct{ begun atomic.Bool }

// healthz answers 200 while the process lives. It asks nothing else, so that a
// database outage restarts no healthy process.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	plain(w, http.StatusOK, "ok\n")
}

// readyz answers 200 while requests can be served: the database answers, its
// migrations are this program's, the key is there (without it the store does
// not open), and the server is not about to stop. Why not is in the log.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if s.drain.begun.Load() {
		plain(w, http.StatusServiceUnavailable, "stopping\n")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := s.store.Ready(ctx); err != nil {
		s.log.WarnContext(r.Context(), "not ready", "error", err)
		plain(w, http.StatusServiceUnavailable, "not ready\n")
		return
	}
	plain(w, http.StatusOK, "ready\n")
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, text)
}

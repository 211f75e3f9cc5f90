package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"
)

// Limits of a connection. A body is read before a database connection is
// taken, so a slow client costs a socket and nothing else.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 60 * time.Second
	writeTimeout  = 90 * time.Second
	idleTimeout   = 120 * time.Second

	// longestHeader holds a filter that is far too long, so that its refusal is
	// a SCIM error and not a bare 431.
	longestHeader = 256 << 10

	// shutdown is how long requests in flight may take to end.
	shutdown = 20 * time.Second
)

// garbage is how much the heap may grow, in per cent of what lives, before it
// is collected. A server holds little and allocates much: at Go's default it
// spends a twelfth of its CPU on collecting.
const garbage = 400

// easeCollection sets that, unless GOGC has set something else.
func easeCollection() {
	if before := debug.SetGCPercent(garbage); before != 100 {
		debug.SetGCPercent(before)
	}
}

// Serve answers on listener until ctx ends, then stops taking requests, lets
// those in flight finish, and returns. metrics, unless nil, is the operators'
// listener.
func (s *Server) Serve(ctx context.Context, listener, metrics net.Listener) error {
	easeCollection()
	public := s.httpServer(s.handler)
	servers := []*http.Server{public}
	failed := make(chan error, 2)
	go func() { failed <- public.Serve(listener) }()
	if metrics != nil {
		operators := s.httpServer(s.metrics.Handler())
		operators.WriteTimeout = 0 // a CPU profile takes as long as it is asked to
		servers = append(servers, operators)
		go func() { failed <- operators.Serve(metrics) }()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.drain.begun.Store(true)
	return errors.Join(err, stop(context.WithoutCancel(ctx), servers))
}

func (s *Server) httpServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    longestHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
}

// stop ends the servers in order; what does not finish in time is cut off.
func stop(ctx context.Context, servers []*http.Server) error {
	ctx, cancel := context.WithTimeout(ctx, shutdown)
	defer cancel()
	var all error
	for _, server := range servers {
		if err := server.Shutdown(ctx); err != nil {
			all = errors.Join(all, err, server.Close())
		}
	}
	return all
}

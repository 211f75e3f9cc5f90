package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/muster-id/muster/internal/fetch"
	"github.com/muster-id/muster/internal/localpg"
	"github.com/muster-id/muster/internal/login"
	"github.com/muster-id/muster/internal/server"
	"github.com/muster-id/muster/internal/store"
)

func (p *program) serveCommand() *cobra.Command {
	return p.command(verb{
		use:   "serve",
		short: "Run the server",
		long: `Run the server: SCIM for identity providers, sign-in and tokens for applications.

It uses the database of MUSTER_DATABASE_URL and the key of MUSTER_KEY_FILE, or with
--local a private PostgreSQL and a key in the folder of --data. With
MUSTER_MIGRATION_URL it migrates first. It logs JSON to standard error, answers
/healthz and /readyz, and ends in order on Ctrl-C or SIGTERM.

People and identity providers reach it by HTTPS only: through a load balancer that speaks
TLS, or directly, with a certificate and its key (--tls-certificate, --tls-key), which it
reads again when they are renewed.

Behind a load balancer name its networks (MUSTER_TRUSTED_PROXIES): else all requests are
of one address, and share what --sign-ins-per-second and --failures-per-second allow one.

Endpoints that no client of yours uses may be left out (--without bulk,me). What must not
stand in the address of a request, where logs on the way keep it, is named with
--sensitive: filters by it are then sent in the body of a search.

It refuses to start without a database, without a key, as a database role that owns
the tables, and, unless --local, with a connection whose issuer is on loopback.`,
		example: `  muster serve --local
  MUSTER_DATABASE_URL=postgres://muster_server@db/muster MUSTER_KEY_FILE=/run/secrets/muster \
    muster serve --public-url https://id.example.com --listen :8080`,
		run: func(ctx context.Context, _ []string) error {
			log, err := p.logger()
			if err != nil {
				return err
			}
			h, err := openHouse(ctx, p.settings, log, lines(func(line string) { log.InfoContext(ctx, line) }))
			if err != nil {
				return err
			}
			log.InfoContext(ctx, "listening", "address", h.public.Addr().String(), "public_url", h.publicURL)
			return errors.Join(h.serve(ctx), h.close())
		},
	})
}

func (p *program) logger() (*slog.Logger, error) {
	level, err := p.settings.logLevel()
	if err != nil {
		return nil, err
	}
	return slog.New(slog.NewJSONHandler(p.errs, &slog.HandlerOptions{Level: level})), nil
}

// lines is a writer that hands on each line.
type lines func(line string)

func (l lines) Write(text []byte) (int, error) {
	for line := range strings.Lines(string(text)) {
		l(strings.TrimRight(line, "\n"))
	}
	return len(text), nil
}

// A house is a server with everything it stands on.
type house struct {
	cluster         *localpg.Cluster // nil: somebody else's database
	store           *store.Store
	server          *server.Server
	fetch           *fetch.Client
	public, metrics net.Listener // metrics nil: none
	publicURL       string
}

// openHouse starts what the settings say, up to the listeners, which take
// requests once serve is called. notice is told in a line each what takes long.
func openHouse(ctx context.Context, s settings, log *slog.Logger, notice io.Writer) (h *house, err error) {
	h = &house{}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	address, err := h.database(ctx, &s, notice)
	if err != nil {
		return h, err
	}
	if err := h.listen(s); err != nil {
		return h, err
	}
	metrics := server.NewMetrics()
	if err := h.openStore(ctx, s, address, log, metrics); err != nil {
		return h, err
	}
	proxies, err := s.trustedProxies()
	if err != nil {
		return h, err
	}
	h.fetch = fetch.NewClient(fetch.Config{AllowLoopback: s.Local})
	h.server, err = server.New(server.Config{
		Store: h.store, PublicURL: h.publicURL, Log: log, Metrics: metrics, Login: login.Config{Fetch: h.fetch},
		Limits: s.limits(), TrustedProxies: proxies, Without: listed(s.Without), Sensitive: listed(s.Sensitive),
	})
	return h, err
}

// database answers the address of a database that is migrated, if it is ours
// to migrate.
func (h *house) database(ctx context.Context, s *settings, notice io.Writer) (string, error) {
	if !s.Local && s.DatabaseURL == "" {
		return "", missingDatabase()
	}
	if s.Local {
		cluster, err := startLocal(ctx, *s, notice)
		if err != nil {
			return "", err
		}
		h.cluster = cluster
		return cluster.ServerURL(localDatabase), nil
	}
	if _, err := s.readKey(); err != nil {
		return "", err
	}
	if s.MigrationURL == "" {
		return s.DatabaseURL, nil
	}
	role, err := store.RoleOf(s.DatabaseURL)
	if err != nil {
		return "", err
	}
	return s.DatabaseURL, store.Migrate(ctx, s.MigrationURL, role, func(format string, args ...any) {
		fmt.Fprintf(notice, format+"\n", args...)
	})
}

func (h *house) openStore(ctx context.Context, s settings, address string, log *slog.Logger, metrics *server.Metrics) error {
	key, err := s.readKey()
	if err != nil {
		return err
	}
	h.store, err = store.Open(ctx, store.Config{
		DatabaseURL: address, Key: key, PoolSize: s.PoolSize, Log: log, Local: s.Local, Metrics: metrics.Store(),
		KeepRequests: time.Duration(s.RequestDays) * 24 * time.Hour, RequestBytes: int64(s.RequestMB) << 20,
	})
	if err != nil {
		return err
	}
	if err := h.refuseLoopback(ctx, s); err != nil {
		return err
	}
	_, err = h.store.SigningKey(ctx) // made at the first start; does not open with another key
	return err
}

// refuseLoopback keeps an issuer that anybody on this machine can play out of a
// server for real people.
func (h *house) refuseLoopback(ctx context.Context, s settings) error {
	if s.Local {
		return nil
	}
	found, err := h.store.Vendor("serve").LoopbackIssuers(ctx)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return usagef("the issuer of these connections is on loopback, where only a server with --local accepts one: %s; muster connection disable NAME --tenant TENANT switches one off", strings.Join(found, ", "))
	}
	return nil
}

func (h *house) listen(s settings) (err error) {
	if h.publicURL = s.PublicURL; h.publicURL == "" && !s.Local {
		return usagef("no public URL: give MUSTER_PUBLIC_URL (or --public-url), the https origin under which people and identity providers reach this server")
	}
	if h.public, err = net.Listen("tcp", s.Listen); err != nil {
		return usagef("%v; choose another address with --listen", err)
	}
	scheme := "http://"
	if s.TLSCertificate != "" {
		scheme = "https://"
		if err := h.encrypt(s.TLSCertificate, s.TLSKey); err != nil {
			return usagef("TLS: %v", err)
		}
	}
	if h.publicURL == "" {
		h.publicURL = scheme + h.public.Addr().String()
	}
	if s.MetricsListen == "off" {
		return nil
	}
	if h.metrics, err = net.Listen("tcp", s.MetricsListen); err != nil {
		return usagef("%v; choose another address with --metrics-listen, or off", err)
	}
	return nil
}

// encrypt makes the public listener one of TLS.
func (h *house) encrypt(certificate, key string) error {
	if _, err := readPrivate(key); err != nil {
		return err
	}
	encrypted, err := server.Encrypted(h.public, certificate, key)
	if err == nil {
		h.public = encrypted
	}
	return err
}

// serve answers requests until ctx ends or PostgreSQL, where it is ours, does.
func (h *house) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if h.cluster != nil {
		go func() {
			select {
			case <-h.cluster.Exited():
				cancel(fmt.Errorf("the private PostgreSQL has ended; see %s/postgres.log", h.cluster.Dir()))
			case <-ctx.Done():
			}
		}()
	}
	background := make(chan error, 1)
	go func() { background <- h.store.Run(ctx) }()
	err := h.server.Serve(ctx, h.public, h.metrics)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = errors.Join(err, cause)
	}
	cancel(nil)
	return errors.Join(err, <-background)
}

// close ends what was started, the database last. It is safe at any stage.
func (h *house) close() error {
	const patience = 20 * time.Second
	for _, l := range []net.Listener{h.public, h.metrics} {
		if l != nil {
			l.Close() // after serve it is closed already
		}
	}
	if h.fetch != nil {
		h.fetch.Close()
	}
	if h.store != nil {
		h.store.Close()
	}
	if h.cluster == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return h.cluster.Stop(ctx)
}

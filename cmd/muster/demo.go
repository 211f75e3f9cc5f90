package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/muster-id/muster/internal/idpsim"
)

// A circus is one demo tenant: what its people are in, and who is followed.
type circus struct {
	Slug, Name, domain string
	kind, product      string // of its identity provider
	mapping            string
}

// circuses are the demo tenants. Jamie Morgan works for both, and is two users.
func circuses() []circus {
	return []circus{
		{"ringling", "Ringling", "ringling.example", idpsim.Entra, "Entra ID", idpsim.MappingObjectID},
		{"cirque", "Cirque", "cirque.example", idpsim.Okta, "Okta", ""},
	}
}

// The addresses of the demo are a row of ports.
const (
	demoPort = 8470

	musterAt    = 0
	metricsAt   = 1
	idpAt       = 2 // and one for each circus
	timesheetAt = 4
	portsNeeded = 5
)

// A demo is a server, two identity providers, an application, and what they
// know of one another.
type demo struct {
	p         *program
	dir       string
	state     demoState
	house     *house
	idps      map[string]*idpsim.IdP // by slug
	listeners map[string]net.Listener
	timesheet *timesheet
	log       *os.File
}

func (p *program) demoCommand() *cobra.Command {
	var port int
	c := p.command(verb{
		use:   "run-demo",
		short: "Show the main job on this machine: two directories, roles, sign-ins",
		long: `Show the main job on this machine (make run does): a server with a private PostgreSQL, two
tenants whose directories are pushed by SCIM as Entra ID and as Okta do, the roles that
follow, a sign-in that is allowed, and the same person refused once deactivated. Then
everything stays up until Ctrl-C. The data stays in the folder of --data, by default one
of its own, for the next run; remove the folder to begin anew.`,
		example: `  muster run-demo
  muster run-demo --data /var/tmp/muster-demo --port 9470`,
		run: func(ctx context.Context, _ []string) error { return p.runDemo(ctx, port) },
	})
	c.Flags().IntVar(&port, "port", 0, fmt.Sprintf("first of %d ports (default: that of the last run, or from %d on the first that are free)", portsNeeded, demoPort))
	return c
}

func (p *program) runDemo(ctx context.Context, port int) error {
	d := &demo{p: p, dir: p.settings.DataDir, idps: map[string]*idpsim.IdP{}, listeners: map[string]net.Listener{}}
	if p.origins["DataDir"] == "" {
		d.dir = defaultDataDir("muster-demo")
	}
	err := d.open(ctx, port)
	if err == nil {
		err = d.run(ctx)
	}
	err = errors.Join(err, d.close())
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // Ctrl-C, at whatever step
	}
	return err
}

// open starts the server and makes what the demo needs, unless an earlier run has.
func (d *demo) open(ctx context.Context, port int) (err error) {
	if err := makeDataDir(d.dir); err != nil {
		return err
	}
	if err := d.state.load(d.dir, port); err != nil {
		return err
	}
	d.log, err = os.OpenFile(filepath.Join(d.dir, "server.log"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	d.title()
	s := settings{Local: true, DataDir: d.dir, Listen: d.address(musterAt), MetricsListen: d.address(metricsAt)}
	d.house, err = openHouse(ctx, s, slog.New(slog.NewJSONHandler(d.log, nil)), d.p.errs)
	if err != nil {
		return err
	}
	if err := d.setUp(ctx); err != nil {
		return err
	}
	return d.openOthers(ctx)
}

// openOthers makes the identity providers and the application.
func (d *demo) openOthers(ctx context.Context) error {
	vendor := d.house.store.Vendor(demoActor)
	for i, c := range circuses() {
		connection, err := vendor.Connection(ctx, c.Slug, c.kind)
		if err != nil {
			return err
		}
		if d.idps[c.Slug], err = d.newIdP(i, c, d.redirectURI(c, connection)); err != nil {
			return err
		}
		if d.listeners[c.Slug], err = idpsim.Listen(d.address(idpAt + i)); err != nil {
			return err
		}
	}
	d.timesheet = newTimesheet(d.house.publicURL, "http://"+d.address(timesheetAt), d.state.AppSecret)
	var err error
	d.listeners["timesheet"], err = net.Listen("tcp", d.address(timesheetAt))
	return err
}

// run tells the story while everything is up, and keeps it up until ctx ends.
func (d *demo) run(ctx context.Context) error {
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error { return d.house.serve(ctx) })
	for _, c := range circuses() {
		work.Go(func() error { return d.idps[c.Slug].Serve(ctx, d.listeners[c.Slug]) })
	}
	work.Go(func() error { return d.timesheet.serve(ctx, d.listeners["timesheet"]) })
	work.Go(func() error {
		if err := d.tell(ctx); err != nil {
			return err
		}
		<-ctx.Done()
		d.print("\nStopping. The data stays in %s.", d.dir)
		return nil
	})
	return work.Wait()
}

func (d *demo) close() error {
	for _, l := range d.listeners {
		if l != nil {
			l.Close()
		}
	}
	for _, idp := range d.idps {
		if idp != nil {
			idp.Close()
		}
	}
	var err error
	if d.house != nil {
		err = d.house.close()
	}
	if d.log != nil {
		err = errors.Join(err, d.log.Close())
	}
	return err
}

func (d *demo) address(at int) string { return fmt.Sprintf("127.0.0.1:%d", d.state.Port+at) }

func (d *demo) print(format string, args ...any) { fmt.Fprintf(d.p.out, format+"\n", args...) }

func took(since time.Time) string { return time.Since(since).Round(time.Millisecond).String() }

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/muster-id/muster/conformance"
)

// conformanceFlags are what conformance takes.
type conformanceFlags struct {
	url, tokenFile, junit string
	only                  []string
	strict, yes           bool
}

func (p *program) conformanceCommand() *cobra.Command {
	f := &conformanceFlags{}
	c := p.command(verb{
		use:   "conformance",
		short: "Play SCIM transcripts and checks against any service provider",
		long: `Play the transcripts and checks that Muster itself is tested with against any SCIM 2.0
service provider, and say what passed, what failed (with the request and the answer)
and what was not played, and why.

It asks before it writes. The names of what it makes begin with a prefix of this run;
all of it is deleted again; a request that might change anything else is not sent. Best
is a test tenant that holds no users and groups: only there can lists be counted, and
what counts or lists everything is played there, with names that have no prefix. On
Muster the requests stand in the tenant's log, and muster doctor sees them too.

An interrupt ends it after the request that is on its way: what was made is deleted, and
the report says what was played. Another one ends it at once, and leaves what was made.

Exit code 3 where something failed or could not be deleted, 1 where it was interrupted.`,
		example: `  muster conformance --url https://scim.example.com/v2 --token-file token
  muster conformance --url http://127.0.0.1:8080/t/acme/scim/v2 --token-file token --only rfc7644/,entra/life --yes --junit report.xml`,
		run: func(ctx context.Context, _ []string) error { return p.conformance(ctx, f) },
	})
	flags := c.Flags()
	flags.StringVar(&f.url, "url", "", "base URL of the service provider, without /Users")
	flags.StringVar(&f.tokenFile, "token-file", "", "file whose first line is the bearer token; - for standard input")
	flags.StringSliceVar(&f.only, "only", nil, "play what has a name that begins so: rfc7644/, entra/life")
	flags.BoolVar(&f.strict, "strict", false, "the connection reads the RFC to the letter: play strict/")
	flags.BoolVar(&f.yes, "yes", false, "do not ask before writing")
	flags.StringVar(&f.junit, "junit", "", "also write the report as JUnit XML to this file")
	return required(c, "url", "token-file")
}

func (p *program) conformance(ctx context.Context, f *conformanceFlags) error {
	base, err := url.Parse(f.url)
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" || base.RawQuery != "" {
		return usagef("--url %q is not the base URL of a service provider, https://scim.example.com/v2 for one", f.url)
	}
	token, err := p.readSecret(f.tokenFile, "bearer token")
	if err != nil {
		return err
	}
	if !f.yes {
		if f.tokenFile == "-" {
			return usagef("the token comes from standard input, so nobody can be asked there: give --yes")
		}
		if err := p.confirm("This makes, changes and deletes users and groups of its own at " + f.url + ". Go on? [y/N] "); err != nil {
			return err
		}
	}
	silent := context.AfterFunc(ctx, func() {
		p.say("interrupted: what was made is being deleted; another interrupt ends at once and leaves it")
	})
	defer silent()
	progress, finish := p.played()
	summary, err := conformance.Run(ctx, conformance.Provider{Base: f.url, Token: token}, conformance.Options{
		Only: f.only, Strict: f.strict, Progress: progress,
	})
	finish()
	if err != nil && summary.Interrupted == 0 {
		return err
	}
	failed := p.report(summary, f.junit)
	if err != nil && (failed == nil || errors.Is(failed, errRefused)) {
		return fmt.Errorf("interrupted: %d of %d were not played", summary.Interrupted, len(summary.Results))
	}
	return failed
}

// played says how far a run is: a bar where somebody watches, else a line for each part.
func (p *program) played() (progress func(done, all int, name string), finish func() error) {
	if !toTerminal(p.errs) {
		last := ""
		return func(done, all int, name string) {
			if part, _, _ := strings.Cut(name, "/"); part != last {
				p.say("%d of %d done, next %s/", done, all, part)
				last = part
			}
		}, func() error { return nil }
	}
	bar := progressbar.NewOptions(1, progressbar.OptionSetWriter(p.errs), progressbar.OptionClearOnFinish(), progressbar.OptionShowCount())
	return func(done, all int, name string) {
		bar.ChangeMax(all)
		bar.Describe(fmt.Sprintf("%-32.32s", name))
		bar.Set(done)
	}, bar.Finish
}

// report writes what came of a run.
func (p *program) report(summary conformance.Summary, junit string) error {
	if junit != "" {
		file, err := os.Create(junit)
		if err != nil {
			return usagef("--junit: %v", err)
		}
		defer file.Close()
		if err := summary.WriteJUnit(file); err != nil {
			return err
		}
	}
	var text strings.Builder
	if err := summary.WriteText(&text); err != nil {
		return err
	}
	err := p.print(summary, func(t *table) { io.WriteString(p.out, printableLines(text.String())) })
	for _, result := range summary.Results {
		if err == nil && (result.Outcome == conformance.Failed || len(result.Left) > 0) {
			err = errRefused
		}
	}
	return err
}

// confirm asks before something is done that is not only read.
func (p *program) confirm(question string) error {
	fmt.Fprint(p.errs, question)
	answer, err := bufio.NewReader(io.LimitReader(p.in, 64)).ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return usagef("nothing was sent; --yes goes on without asking")
}

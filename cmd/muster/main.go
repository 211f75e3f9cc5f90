// Muster decides, for a software vendor with business customers, who may enter
// and as what.
//
// This package is the program: it alone reads flags and the environment. One
// file is one command; settings.go is what they are configured by, and exit.go
// says what their exit codes mean.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	p := &program{in: os.Stdin, out: os.Stdout, errs: os.Stderr, environ: os.Environ()}
	os.Exit(p.run(ctx, os.Args[1:]))
}

// A program is one run of the command line.
type program struct {
	in        io.Reader
	out, errs io.Writer
	environ   []string

	settings settings // of flags, environment and file, once a command runs
	origins  map[string]string
	json     bool
	actor    string
	began    bool // the command's own work has begun: its arguments are right
}

// run does what the arguments say and returns the exit code.
func (p *program) run(ctx context.Context, args []string) int {
	root := p.root()
	root.SetArgs(args)
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.errs)
	return p.exit(root.ExecuteContext(ctx))
}

func (p *program) root() *cobra.Command {
	root := group("muster", "Muster: who may enter, and as what",
		p.serveCommand(), p.migrateCommand(), p.configCommand(),
		p.tenantCommand(), p.connectionCommand(), p.tokenCommand(), p.clientCommand(), p.appCommand(), p.keyCommand(),
		p.userCommand(), p.rulesCommand(), p.schemaCommand(), p.resourceTypeCommand(), p.explainCommand(), p.checkCommand(), p.doctorCommand(), p.logCommand(),
		p.idpCommand(), p.conformanceCommand(), p.demoCommand())
	root.Long, root.Example = rootText, rootExample
	root.SilenceUsage, root.SilenceErrors = true, true
	root.SetFlagErrorFunc(misused)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().BoolVar(&p.json, "json", false, "print JSON instead of tables")
	root.PersistentFlags().StringVar(&p.actor, "actor", "", "who acts, for the log (default cli:<user of the system>)")
	addSettingFlags(root)
	return root
}

const rootText = `Muster decides, for a software vendor with business customers, who may enter and as what.

Most commands work on the database directly, beside any server: the one of
--database-url, or with --local the one that serve --local runs. idp and conformance reach
a server by HTTP alone; run-demo brings a database of its own; config, and rules check
without --tenant, need no database.

Settings come from flags, then MUSTER_* variables, then one YAML file (--config), then
defaults; muster config prints what holds. Secrets are read from files, standard input
or the environment, never from arguments.

Exit codes:
  0  done
  1  it failed: the database, the network, or a fault of ours
  2  it was asked wrongly: arguments, settings or values; nothing was changed
  3  the answer is no: check refused the person, a rule set has errors, or something that
     conformance played failed or could not be deleted
  4  there is nothing of that name`

const rootExample = `  muster serve --local --public-url http://127.0.0.1:8080
  muster tenant create ringling --name "Ringling Circus" --domain ringling.example
  muster doctor ringling`

// group is a command that only holds others. Its examples are the first of each.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs}
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usagef("there is no command %q; %s --help lists them", args[0], c.CommandPath())
		}
		return c.Help()
	}
	c.AddCommand(commands...)
	var examples []string
	for _, below := range commands {
		examples = append(examples, firstExample(below.Example))
	}
	c.Example = strings.Join(examples, "\n")
	return c
}

// firstExample is the first command of several, with the lines that it goes on in.
func firstExample(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if !strings.HasSuffix(line, `\`) {
			return strings.Join(lines[:i+1], "\n")
		}
	}
	return text
}

// A verb is a command that does something.
type verb struct {
	use     string // its name and its arguments, by which these are checked
	short   string
	long    string
	example string
	run     func(ctx context.Context, args []string) error
}

// command is the cobra command of v. It reads the settings before v runs.
func (p *program) command(v verb) *cobra.Command {
	c := &cobra.Command{Use: v.use, Short: v.short, Long: v.long, Example: v.example, Args: arguments}
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := p.readSettings(c); err != nil {
			return err
		}
		p.began = true
		return v.run(c.Context(), args)
	}
	return c
}

// required marks flags without which the command does not run.
func required(c *cobra.Command, names ...string) *cobra.Command {
	for _, name := range names {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined beside
		}
	}
	return c
}

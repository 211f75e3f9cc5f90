package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/muster-id/muster/internal/rolemap"
	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
)

func (p *program) rulesCommand() *cobra.Command {
	return group("rules", "Rule sets that give roles: check, publish", p.rulesCheckCommand(), p.rulesPublishCommand())
}

// checkedRules is the outcome of rules check and publish.
type checkedRules struct {
	Valid   bool                  `json:"valid"`
	Issues  []rolemap.Issue       `json:"issues"`
	Version *store.RuleSetVersion `json:"published,omitempty"`
}

func (p *program) rulesCheckCommand() *cobra.Command {
	var tenant string
	c := p.command(verb{
		use:   "check FILE",
		short: "Check a rule set and run its tests, publishing nothing",
		long: `Check a rule set (- for standard input): syntax, types, cost, and its own tests. With
--tenant also its roles, connections and group names, against that tenant; without it
no database is needed, and roles and connections are taken as the file names them.
Exit code 3 where it has errors.`,
		example: `  muster rules check rules/ringling.yaml
  muster rules check rules/ringling.yaml --tenant ringling`,
		run: func(ctx context.Context, args []string) error {
			source, err := p.readDocument("rule set", args[0])
			if err != nil {
				return err
			}
			if tenant == "" {
				return p.printRules(args[0], checkedRules{Issues: checkAlone(ctx, source)})
			}
			return p.withDirectory(ctx, tenant, "rules check", func(dir *store.Directory) error {
				_, issues, err := dir.CheckRules(ctx, source)
				if err != nil {
					return err
				}
				return p.printRules(args[0], checkedRules{Issues: issues})
			})
		},
	})
	c.Flags().StringVar(&tenant, "tenant", "", "slug of the tenant to check it against")
	return c
}

// checkAlone checks a rule set that no tenant stands behind.
func checkAlone(ctx context.Context, source []byte) []rolemap.Issue {
	rules, issues := rolemap.Parse(source)
	if rolemap.HasErrors(issues) {
		return issues
	}
	catalogue := rolemap.Catalogue{Tenant: "check", Allowed: map[string]bool{}, ConnectionNames: rules.Connections}
	if len(catalogue.ConnectionNames) == 0 {
		catalogue.ConnectionNames = []string{"default"}
	}
	for _, g := range rules.GroupRoles {
		allow(catalogue.Allowed, g.Grant)
	}
	for _, r := range rules.Rules {
		allow(catalogue.Allowed, r.Grant)
	}
	program, more := rolemap.Compile(rules, scim.UserType(), catalogue)
	issues = append(issues, more...)
	if rolemap.HasErrors(issues) {
		return issues
	}
	return append(issues, program.RunTests(ctx)...)
}

func allow(roles map[string]bool, grants []rolemap.Grant) {
	for _, g := range grants {
		roles[g.Role] = true
	}
}

func (p *program) rulesPublishCommand() *cobra.Command {
	var tenant string
	c := p.command(verb{
		use:   "publish FILE",
		short: "Make a rule set the tenant's",
		long: `Make a rule set (- for standard input) the tenant's, if it has no errors and its own tests
pass. Every decision after this command follows the new rules, whatever the tenant's
size. Exit code 3 where it has errors; then nothing was changed.`,
		example: `  muster rules publish rules/ringling.yaml --tenant ringling --actor ops:dana`,
		run: func(ctx context.Context, args []string) error {
			source, err := p.readDocument("rule set", args[0])
			if err != nil {
				return err
			}
			return p.withDirectory(ctx, tenant, "rules publish", func(dir *store.Directory) error {
				version, issues, err := dir.PublishRules(ctx, source)
				if err != nil && !rolemap.HasErrors(issues) {
					return err
				}
				checked := checkedRules{Issues: issues}
				if err == nil {
					checked.Version = &version
				}
				return p.printRules(args[0], checked)
			})
		},
	})
	c.Flags().StringVar(&tenant, "tenant", "", "slug of the tenant")
	return required(c, "tenant")
}

// printRules prints the issues as FILE:LINE:COLUMN, those of the whole as FILE,
// and refuses where one is an error.
func (p *program) printRules(path string, checked checkedRules) error {
	checked.Valid = !rolemap.HasErrors(checked.Issues)
	checked.Issues = present(checked.Issues)
	err := p.print(checked, func(t *table) {
		for _, issue := range checked.Issues {
			place := path + ":"
			if issue.Line == 0 {
				place += " "
			}
			t.row(place + issue.String())
		}
		switch {
		case checked.Version != nil:
			t.row("published as version", checked.Version.Version, "by "+checked.Version.Actor)
		case checked.Valid:
			t.row("no errors; its tests pass")
		}
	})
	if err == nil && !checked.Valid {
		err = errRefused
	}
	return err
}

package main

import (
	"context"
	"reflect"

	"github.com/spf13/cobra"
)

// A shownSetting is one line of muster config.
type shownSetting struct {
	Setting string `json:"setting"`
	Value   any    `json:"value"`
	From    string `json:"from"`
}

func (p *program) configCommand() *cobra.Command {
	return p.command(verb{
		use:   "config",
		short: "Print the settings that hold, and where each comes from",
		long: `Print the settings that hold, and where each comes from: a flag, a MUSTER_* variable,
the configuration file, or a default. Secrets are masked.`,
		example: `  muster config
  muster config --config /etc/muster.yaml --json`,
		run: func(context.Context, []string) error {
			shown := p.shownSettings()
			return p.print(shown, func(t *table) {
				t.row("SETTING", "VALUE", "FROM")
				for _, s := range shown {
					t.row(s.Setting, s.Value, s.From)
				}
			})
		},
	})
}

func (p *program) shownSettings() []shownSetting {
	var shown []shownSetting
	p.settings.fields(func(field reflect.StructField, value reflect.Value) {
		from := p.origins[field.Name]
		if from == "" {
			from = "default"
		}
		shown = append(shown, shownSetting{envPrefix + field.Tag.Get("env"), mask(field, value.Interface()), from})
	})
	return shown
}

package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/muster-id/muster/internal/idpsim"
)

// push pushes the directory of idp, with a progress bar where somebody watches.
func (p *program) push(ctx context.Context, idp *idpsim.IdP, name string) error {
	d := idp.Directory()
	members := 0
	for _, g := range d.Groups {
		members += len(g.Members)
	}
	bar := progressbar.NewOptions(len(d.People)+len(d.Groups)+members,
		progressbar.OptionSetWriter(p.errs),
		progressbar.OptionSetVisibility(toTerminal(p.errs)),
		progressbar.OptionSetDescription(name+" pushes"),
		progressbar.OptionSetWidth(30),
		progressbar.OptionShowCount(),
		progressbar.OptionThrottle(50*time.Millisecond),
		progressbar.OptionClearOnFinish())
	var retries atomic.Int64
	err := idp.Push(ctx, func(e idpsim.Event) {
		switch e.Action {
		case "create", "link", "update", "group":
			bar.Add(1)
		case "members":
			bar.Add(members / max(e.Total, 1))
		case "retry":
			retries.Add(1)
		}
	})
	bar.Finish()
	if n := retries.Load(); n > 0 {
		p.say("%d requests were repeated", n)
	}
	return err
}

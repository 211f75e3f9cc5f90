package main

import (
	"context"
	"sync"
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
	var repeated repetitions
	err := idp.Push(ctx, func(e idpsim.Event) {
		switch e.Action {
		case "create", "link", "update", "group":
			bar.Add(1)
		case "members":
			bar.Add(members / max(e.Total, 1))
		case "retry":
			if n, tell := repeated.add(time.Now()); tell {
				bar.Clear()
				p.say("repeating %s (%s so far; each request is sent up to ten times)", printable(e.Subject), counted(n, "repetition", "repetitions"))
			}
		}
	})
	bar.Finish()
	if repeated.count > 0 {
		p.say("%s repeated", counted(repeated.count, "request was", "requests were"))
	}
	return err
}

// repetitions counts requests that are sent again. The first is worth a word at once,
// others a second later, two after that, four, and so on.
type repetitions struct {
	mu    sync.Mutex
	count int
	next  time.Time
	pause time.Duration
}

// add counts one more, and reports how many there are and whether to say so now.
func (r *repetitions) add(now time.Time) (count int, tell bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	if now.Before(r.next) {
		return r.count, false
	}
	r.pause = max(time.Second, 2*r.pause)
	r.next = now.Add(r.pause)
	return r.count, true
}

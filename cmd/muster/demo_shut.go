package main

import (
	"context"
	"fmt"
	"time"
)

// awaitOpen returns once nothing that the demo needs is switched off. What is, as
// somebody left it who tried the commands, it names with the command that mends it:
// the server is up for it.
func (d *demo) awaitOpen(ctx context.Context) error {
	told := ""
	for {
		cause, command, err := d.shut(ctx)
		if err != nil || cause == "" {
			return err
		}
		if cause != told {
			d.print("\n%s. The demo goes on once that is mended, in another terminal:\n\n   bin/muster %s --local --data %s", cause, command, d.dir)
			told = cause
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// shut is the first thing that is switched off, and the command that switches it on.
func (d *demo) shut(ctx context.Context) (cause, command string, err error) {
	vendor := d.house.store.Vendor(demoActor)
	for _, c := range circuses() {
		t, err := vendor.Tenant(ctx, c.Slug)
		if err != nil {
			return "", "", err
		}
		if t.State != "active" {
			return fmt.Sprintf("Tenant %s is suspended", c.Slug), "tenant resume " + c.Slug, nil
		}
		connection, err := vendor.Connection(ctx, c.Slug, c.kind)
		if err != nil {
			return "", "", err
		}
		if connection.State != "active" {
			return fmt.Sprintf("Connection %s of %s is disabled, so its directory is refused", c.kind, c.Slug),
				fmt.Sprintf("connection enable %s --tenant %s", c.kind, c.Slug), nil
		}
	}
	a, err := vendor.Application(ctx, demoApp)
	if err == nil && a.State != "active" {
		return "Application " + demoApp + " is disabled", "app enable " + demoApp, nil
	}
	return "", "", err
}

package main

import (
	"context"
	"time"
)

// cell measures one thing from a number of clients, prints it and answers it.
func (w *world) cell(ctx context.Context, name string, clients int, raw *result, do func() error) (result, error) {
	r, err := w.measure(ctx, clients, func(int) (func() error, error) { return do, nil })
	if err == nil {
		r.print(name, clients, raw)
	}
	return r, err
}

// scimCell measures requests of a SCIM client.
func (w *world) scimCell(ctx context.Context, name string, clients int, raw *result, do func(*client) error) error {
	return w.httpCell(ctx, name, clients, raw, w.scim, do)
}

// appCell measures requests of an application's back-end.
func (w *world) appCell(ctx context.Context, name string, clients int, raw *result, do func(*client) error) error {
	return w.httpCell(ctx, name, clients, raw, w.application, do)
}

func (w *world) httpCell(ctx context.Context, name string, clients int, raw *result, dial func() (*client, error), do func(*client) error) error {
	r, err := w.measure(ctx, clients, func(int) (func() error, error) {
		c, err := dial()
		return func() error { return do(c) }, err
	})
	if err == nil {
		r.print(name, clients, raw)
	}
	return err
}

// paces is how many cells a paced one lasts: its slowest hundredth is to be more than
// one hiccup of the machine.
const paces = 4

// paced measures an application that asks at a steady rate: each client waits
// for its next turn, and a late answer does not slow the rate.
func (w *world) paced(ctx context.Context, name string, clients, perSecond int, do func(*client) error) error {
	every := time.Second * time.Duration(clients) / time.Duration(perSecond)
	r, err := w.measureTurns(ctx, clients, paces*w.length, func(i int) (func() error, func(), error) {
		c, err := w.application()
		var next time.Time // the first falls when the cell begins, the clients one after another
		wait := func() {
			if next.IsZero() {
				next = time.Now().Add(every * time.Duration(i) / time.Duration(clients))
			} else {
				next = next.Add(every)
			}
			time.Sleep(time.Until(next))
		}
		return func() error { return do(c) }, wait, err
	})
	if err == nil {
		r.print(name, clients, nil)
	}
	return err
}

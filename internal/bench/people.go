package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
)

// people creates n users over HTTP and answers their ids. Their names go on
// from where the world's numbers stand.
func (w *world) people(ctx context.Context, n int) ([]string, []int64, error) {
	ids, numbers := make([]string, n), make([]int64, n)
	var next atomic.Int64
	errs := make(chan error, creators)
	var wg sync.WaitGroup
	for range creators {
		wg.Go(func() {
			c, err := w.scim()
			for i := next.Add(1) - 1; err == nil && i < int64(n) && ctx.Err() == nil; i = next.Add(1) - 1 {
				numbers[i] = w.next.Add(1)
				ids[i], err = w.createOne(c, "/t/bench/scim/v2/Users", body(numbers[i]))
			}
			if err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	if err := <-errs; err != nil {
		return nil, nil, err
	}
	return ids, numbers, w.settle(ctx)
}

const creators = 8

// warm makes the database one that has been in use: tables that are not empty,
// statistics, and log files to write into.
func (w *world) warm(ctx context.Context) error {
	if _, _, err := w.people(ctx, crowd); err != nil {
		return err
	}
	if _, err := w.group(ctx, crowd); err != nil {
		return err
	}
	_, err := w.cluster.Psql(ctx, database, "checkpoint")
	return err
}

// createOne posts a resource and answers its id.
func (w *world) createOne(c *client, path, body string) (string, error) {
	if err := c.expect(201, "POST", path, body); err != nil {
		return "", err
	}
	var answer struct{ ID string }
	return answer.ID, json.Unmarshal(c.body, &answer)
}

// expect sends a request and fails on another status.
func (c *client) expect(want int, method, path, body string) error {
	status, err := c.do(method, path, body)
	if err == nil && status != want {
		err = fmt.Errorf("%s %s: %d %s", method, path, status, c.body)
	}
	return err
}

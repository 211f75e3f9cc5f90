package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
)

// people creates n users over HTTP and answers their ids. Their names go on
// from where the world's numbers stand.
func (w *world) people(ctx context.Context, n int) ([]string, []int64, error) {
	ids, numbers := make([]string, n), make([]int64, n)
	err := w.each(ctx, "people", n, func(c *client, i int) (err error) {
		numbers[i] = w.next.Add(1)
		ids[i], err = w.createOne(c, "/t/bench/scim/v2/Users", body(numbers[i]))
		return err
	})
	return ids, numbers, err
}

// creators is how many clients prepare what is measured; a directory's first
// sync has as many.
const creators = 8

// shown is from how many requests on the progress is shown.
const shown = 50_000

func toTerminal(file *os.File) bool {
	stat, err := file.Stat()
	return err == nil && stat.Mode()&os.ModeCharDevice != 0
}

// each does n things, numbered from 0, from eight clients.
func (w *world) each(ctx context.Context, what string, n int, do func(c *client, i int) error) error {
	bar := progressbar.NewOptions(n, progressbar.OptionSetDescription(what), progressbar.OptionSetWriter(os.Stderr),
		progressbar.OptionSetVisibility(n >= shown && toTerminal(os.Stderr)), progressbar.OptionShowCount(), progressbar.OptionThrottle(time.Second), progressbar.OptionClearOnFinish())
	defer bar.Close()
	var next atomic.Int64
	errs := make(chan error, creators)
	var wg sync.WaitGroup
	for range creators {
		wg.Go(func() {
			c, err := w.scim()
			for i := next.Add(1) - 1; err == nil && i < int64(n); i = next.Add(1) - 1 {
				if err = ctx.Err(); err == nil {
					err = do(c, int(i))
				}
				bar.Add(1)
			}
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// warm makes the database one that has been in use: a tenant with people, of
// any number, statistics, and log files to write into.
func (w *world) warm(ctx context.Context, people int) error {
	err := w.each(ctx, "people", people, func(c *client, _ int) error {
		_, err := w.createOne(c, "/t/bench/scim/v2/Users", body(w.next.Add(1)))
		return err
	})
	if err != nil {
		return err
	}
	if _, err := w.group(ctx, "Warm", crowd); err != nil {
		return err
	}
	if err := w.settle(ctx); err != nil {
		return err
	}
	return w.fillLog(ctx)
}

// fillLog writes as much log as lies between two checkpoints, so that PostgreSQL writes
// what is measured into files that it has: a database makes new ones in its first hour.
func (w *world) fillLog(ctx context.Context) error {
	_, err := w.cluster.Psql(ctx, database, `
		select count(pg_logical_emit_message(false, 'bench', repeat('x', 1 << 20))) from generate_series(1, 768);
		checkpoint;`)
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

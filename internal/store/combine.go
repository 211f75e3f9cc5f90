package store

import (
	"context"
	"slices"
	"sync"
)

// mostTogether is how many jobs are done together. More at once gains little, and as many
// are done again where one of them is refused.
const mostTogether = 16

// A combiner lets one caller do what several ask for at the same time (flat combining).
// Who comes while somebody of the same key is at it waits, and the first of those who
// wait then does it for all of them. Nobody waits to be joined: who comes to an empty
// line is at it at once.
type combiner[K comparable, J any] struct {
	// together does jobs and sets done for each that is. It may leave any of them.
	together func(ctx context.Context, jobs []J, done []bool)
	// apart reports whether two jobs are not to be done together.
	apart func(a, b J) bool

	mu    sync.Mutex
	lines map[K][]*waiter[J] // of every key that somebody is at: who waits behind
}

// A waiter is a caller with its job.
type waiter[J any] struct {
	job  J
	call chan call // holds one
}

// A call is what a waiter is told.
type call uint8

const (
	itsTurn call = iota // to do its job, and those of all who wait
	isDone
	notDone
)

// do has the job done: together with others, or where that left it, by alone. So it is
// where ctx ends, or writeTimeout, before anybody has begun with it.
func (c *combiner[K, J]) do(ctx context.Context, key K, job J, alone func()) {
	w := &waiter[J]{job, make(chan call, 1)}
	c.join(key, w)
	told := c.await(ctx, key, w)
	if told == itsTurn {
		c.lead(ctx, key, w)
		told = <-w.call
	}
	if told == notDone {
		alone()
	}
}

// join puts w at the end of the line.
func (c *combiner[K, J]) join(key K, w *waiter[J]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if line, busy := c.lines[key]; busy {
		c.lines[key] = append(line, w)
		return
	}
	if c.lines == nil {
		c.lines = map[K][]*waiter[J]{}
	}
	c.lines[key] = nil
	w.call <- itsTurn
}

func (c *combiner[K, J]) await(ctx context.Context, key K, w *waiter[J]) call {
	select {
	case told := <-w.call:
		return told
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	select {
	case told := <-w.call:
		return told
	case <-ctx.Done():
		if c.leave(key, w) {
			return notDone
		}
		return <-w.call
	}
}

// leave takes w out of the line and reports whether it still stood there.
func (c *combiner[K, J]) leave(key K, w *waiter[J]) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.lines[key], w)
	if i >= 0 {
		c.lines[key] = slices.Delete(c.lines[key], i, i+1)
	}
	return i >= 0
}

// lead does the jobs of w and of those who wait, tells each what became of its own, and
// lets the next one lead; should a job panic, too.
func (c *combiner[K, J]) lead(ctx context.Context, key K, w *waiter[J]) {
	defer c.pass(key)
	group := c.gather(key, w)
	jobs, done := make([]J, len(group)), make([]bool, len(group))
	for i, w := range group {
		jobs[i] = w.job
	}
	defer func() {
		for i, w := range group {
			if done[i] {
				w.call <- isDone
			} else {
				w.call <- notDone
			}
		}
	}()
	c.together(ctx, jobs, done)
}

// gather takes out of the line, in its order, those whose jobs can be done with that of w.
func (c *combiner[K, J]) gather(key K, w *waiter[J]) []*waiter[J] {
	c.mu.Lock()
	defer c.mu.Unlock()
	group := []*waiter[J]{w}
	fits := func(w *waiter[J]) bool {
		return len(group) < mostTogether && !slices.ContainsFunc(group, func(of *waiter[J]) bool { return c.apart(of.job, w.job) })
	}
	c.lines[key] = slices.DeleteFunc(c.lines[key], func(w *waiter[J]) bool {
		fit := fits(w)
		if fit {
			group = append(group, w)
		}
		return fit
	})
	return group
}

// pass makes it the turn of who waits first.
func (c *combiner[K, J]) pass(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	line := c.lines[key]
	if len(line) == 0 {
		delete(c.lines, key)
		return
	}
	first := line[0]
	c.lines[key] = slices.Delete(line, 0, 1)
	first.call <- itsTurn
}

// A line is where changes wait to share a transaction: one entry holds for all of them, as
// they have the credential and the settings in common.
type line struct {
	token    *credential
	settings *settings
}

// combine has c do the job with others of the same line. An admin's is done alone, and so
// is what has no place in line.
func combine[J any](ctx context.Context, dir *Directory, c *combiner[line, J], job J, alone func()) {
	if dir.token == nil {
		alone()
		return
	}
	q := dir.store.lines.join(dir.tenant)
	if q == nil {
		alone()
		return
	}
	defer dir.store.lines.quit(dir.tenant, q)
	c.do(dir.InShare(ctx), line{dir.token, dir.settings}, job, alone)
}

package store

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// A task is a job: of whom, and how often it was done, by whomever.
type task struct {
	key, whom int
	together  atomic.Int32
	alone     atomic.Int32
}

// Many callers at once: each job is done once, together or alone; of one key one group is
// at it at a time, of no more than fit, none of them apart; and a group that panics leaves
// nobody waiting.
func TestConcurrentJobsAreEachDoneOnce(t *testing.T) {
	const keys, callers, each = 3, 24, 200
	var at [keys]atomic.Int32
	var shared, panics atomic.Int64
	c := combiner[int, *task]{apart: func(a, b *task) bool { return a.whom == b.whom }}
	c.together = func(_ context.Context, jobs []*task, done []bool) {
		key := jobs[0].key
		if at[key].Add(1) > 1 {
			t.Errorf("two groups of key %d at once", key)
		}
		defer at[key].Add(-1)
		if len(jobs) > mostTogether {
			t.Errorf("%d jobs together", len(jobs))
		}
		seen := map[int]bool{}
		for _, j := range jobs {
			if j.key != key || seen[j.whom] {
				t.Errorf("a job of key %d, whom %d, in a group of key %d that has %v", j.key, j.whom, key, seen)
			}
			seen[j.whom] = true
		}
		for range rand.IntN(20) {
			runtime.Gosched() // others come
		}
		if rand.IntN(20) == 0 {
			panics.Add(1)
			panic("a job that nobody can do")
		}
		for i, j := range jobs {
			if done[i] = rand.IntN(5) > 0; done[i] {
				j.together.Add(1)
			}
		}
		if len(jobs) > 1 {
			shared.Add(1)
		}
	}
	do := func(j *task) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if rand.IntN(10) == 0 {
			go cancel()
		}
		defer func() {
			if recover() != nil {
				j.alone.Add(1) // the caller has met the panic, and knows
			}
		}()
		c.do(ctx, j.key, j, func() { j.alone.Add(1) })
	}
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range each {
				j := &task{key: rand.IntN(keys), whom: rand.IntN(4 * callers)}
				do(j)
				if n := j.together.Load() + j.alone.Load(); n != 1 {
					t.Errorf("a job was done %d times", n)
				}
			}
		})
	}
	all.Wait()
	if len(c.lines) > 0 {
		t.Errorf("lines are left: %v", c.lines)
	}
	if shared.Load() == 0 || panics.Load() == 0 {
		t.Errorf("%d groups of several, %d panics: want some of each", shared.Load(), panics.Load())
	}
}

// Who gives up while others wait is done alone, by a context that has ended, and is in
// nobody's group.
func TestWhoGivesUpLeavesTheLine(t *testing.T) {
	begun, goOn := make(chan bool), make(chan bool)
	c := combiner[int, *task]{apart: func(a, b *task) bool { return false }}
	c.together = func(_ context.Context, jobs []*task, done []bool) {
		if jobs[0].whom == 0 {
			close(begun)
			<-goOn
		}
		for i, j := range jobs {
			j.together.Add(1)
			done[i] = true
		}
	}
	var all sync.WaitGroup
	all.Go(func() { c.do(t.Context(), 0, &task{}, func() { t.Error("the first was left") }) })
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	gone, stays := &task{whom: 1}, &task{whom: 2}
	var left sync.WaitGroup
	left.Go(func() { c.do(ctx, 0, gone, func() { gone.alone.Add(1) }) })
	all.Go(func() { c.do(t.Context(), 0, stays, func() { t.Error("who stayed was left") }) })
	for c.waiting() < 2 {
		runtime.Gosched()
	}
	cancel()
	left.Wait()
	close(goOn)
	all.Wait()
	if gone.together.Load() != 0 || gone.alone.Load() != 1 || stays.together.Load() != 1 {
		t.Errorf("who gave up was done together %d times, alone %d; who stayed %d", gone.together.Load(), gone.alone.Load(), stays.together.Load())
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// A row is one line of the table: a request, and from how many clients.
type row struct {
	name    string
	clients int
	raw     bool                                // PostgreSQL alone
	pace    int                                 // requests a second of all clients together; 0: as many as they can
	prepare func() (do func() error, err error) // a client of its own
	loops   []loop
	turns   []turn
}

// ofRaw makes a row of what PostgreSQL alone does, over a pool of connections.
func ofRaw(name string, clients int, do func() error) row {
	return row{name: name, clients: clients, raw: true, prepare: func() (func() error, error) { return do, nil }}
}

// overHTTP makes a row of a request that each client sends over its own connection.
func overHTTP(name string, clients int, dial func() (*client, error), do func(*client) error) row {
	return row{name: name, clients: clients, prepare: func() (func() error, error) {
		c, err := dial()
		return func() error { return do(c) }, err
	}}
}

const (
	// slice is how long one row is measured before it is the next one's turn.
	slice = time.Second
	// rest is until the requests that changed nothing are written into the log.
	rest = 1100 * time.Millisecond
)

// A turn is what was measured of a row in one slice.
type turn struct {
	n         int
	took      time.Duration
	latencies []time.Duration
	used      usage
}

// turns measures rows one slice after another, in rounds, and prints them. Machines that
// others share are twice as slow from one second to the next: rows that take turns meet
// the same. The last row is compared with the one before it.
func (w *world) turns(ctx context.Context, rows ...row) error {
	if err := w.noAutovacuum(ctx); err != nil {
		return err
	}
	if err := w.settle(ctx); err != nil {
		return err
	}
	for i := range rows {
		if err := rows[i].connect(); err != nil {
			return fmt.Errorf("%s: %w", rows[i].name, err)
		}
	}
	if err := w.calm(ctx); err != nil {
		return err
	}
	for range rows[len(rows)-1].rounds(w.length) {
		for i := range rows {
			if err := w.turn(ctx, &rows[i]); err != nil {
				return fmt.Errorf("%s: %w", rows[i].name, err)
			}
		}
	}
	for i := range rows {
		var raw *row
		if i > 0 && i == len(rows)-1 {
			raw = &rows[i-1]
		}
		rows[i].print(raw)
	}
	return nil
}

// connect makes a row's clients, and warms them: the server closes a connection over which
// nothing comes.
func (r *row) connect() error {
	for range r.clients {
		do, err := r.prepare()
		if err != nil {
			return err
		}
		r.loops = append(r.loops, loop{do: do})
	}
	return r.warm()
}

// warm sends a dozen requests from each client, so that connections are open and
// statements planned before the clock starts: both are done anew after a vacuum, and
// where raw has made a table many times larger.
func (r *row) warm() error {
	const dozen = 12
	var all errgroup.Group
	for _, l := range r.loops {
		all.Go(func() (err error) {
			for i := 0; i < dozen && err == nil; i++ {
				err = l.do()
			}
			return err
		})
	}
	return all.Wait()
}

// rounds is how many slices make a row of that length. A paced one lasts longer: its
// slowest hundredth is to be more than one hiccup of the machine.
func (r *row) rounds(length time.Duration) int {
	const paces = 4
	n := max(1, int(length/slice))
	if r.pace > 0 {
		n *= paces
	}
	return n
}

// turn measures one row for one slice. What the background does after it is on its
// account; of raw's changes it is on nobody's.
func (w *world) turn(ctx context.Context, r *row) error {
	if err := r.warm(); err != nil {
		return err
	}
	before, err := w.usage()
	if err != nil {
		return err
	}
	begun := time.Now()
	var all sync.WaitGroup
	for i := range r.loops {
		all.Go(func() { r.run(ctx, &r.loops[i], begun, i) })
	}
	all.Wait()
	t := turn{took: time.Since(begun)}
	after, err := w.usage()
	calm := w.calm(ctx)
	if !r.raw {
		after, err = w.usage()
	}
	t.used, err = after.minus(before), errors.Join(err, calm)
	for i := range r.loops {
		l := &r.loops[i]
		t.latencies = append(t.latencies, l.latencies...)
		err = errors.Join(err, l.err)
		l.latencies = l.latencies[:0]
	}
	t.n = len(t.latencies)
	r.turns = append(r.turns, t)
	return errors.Join(err, ctx.Err())
}

// calm waits until the background has done what followed from a turn. The last change is
// made by a request, as those of raw tell the server nothing; when it has a number, all
// before it have theirs.
func (w *world) calm(ctx context.Context) error {
	time.Sleep(rest)
	c, err := w.scim()
	if err != nil {
		return err
	}
	defer c.conn.Close()
	last, err := w.createOne(c, "/t/bench/scim/v2/Groups", fmt.Sprintf(`{"displayName":"Last %d"}`, w.next.Add(1)))
	for numbered := false; err == nil && !numbered; time.Sleep(10 * time.Millisecond) {
		err = w.raw.QueryRow(ctx, `select coalesce(top.n = (select n from changes where tenant_id = $1 and subject = $2), false)
			from sequencers s left join change_numbers top on top.tenant_id = s.tenant_id and top.seq = s.top
			where s.tenant_id = $1`, w.tenant.ID, last).Scan(&numbered)
	}
	return err
}

// A loop is one client that repeats one thing.
type loop struct {
	do        func() error
	latencies []time.Duration
	err       error
}

// run repeats a client's request for one slice. The clients of a paced row wait for their
// turns, one after another. A late answer does not slow the rate, and the request that it
// held up has waited from its own turn on.
func (r *row) run(ctx context.Context, l *loop, begun time.Time, i int) {
	next, every := begun, time.Duration(0)
	if r.pace > 0 {
		every = time.Second * time.Duration(r.clients) / time.Duration(r.pace)
		next = begun.Add(every * time.Duration(i) / time.Duration(r.clients))
	}
	for end := begun.Add(slice); time.Now().Before(end) && ctx.Err() == nil; next = next.Add(every) {
		asked := time.Now()
		switch early := next.Sub(asked); {
		case early > 0:
			time.Sleep(early)
			asked = time.Now()
		case every > 0:
			asked = next
		}
		if l.err = l.do(); l.err != nil {
			return
		}
		l.latencies = append(l.latencies, time.Since(asked))
	}
}

func (t turn) perSecond() float64 { return float64(t.n) / t.took.Seconds() }

// median is that of a figure over the turns of a row.
func (r *row) median(of func(i int, t turn) float64) float64 {
	figures := make([]float64, len(r.turns))
	for i, t := range r.turns {
		figures[i] = of(i, t)
	}
	slices.Sort(figures)
	return figures[len(figures)/2]
}

const header = "scenario                         clients      /s   p50 ms   p99 ms   server  database    load   cpu-ms   to raw"

// print writes one line. CPU is per request, cpu-ms is server and database; a second is the
// median turn, and to raw the median of turns beside raw's just before.
func (r *row) print(raw *row) {
	var latencies []time.Duration
	var used usage
	n := 0
	for _, t := range r.turns {
		latencies = append(latencies, t.latencies...)
		used = used.plus(t.used)
		n += t.n
	}
	slices.Sort(latencies)
	percentile := func(p int) float64 {
		if len(latencies) == 0 {
			return 0
		}
		return float64(latencies[(len(latencies)-1)*p/100]) / 1e6
	}
	each := func(d time.Duration) float64 { return float64(d) / 1e6 / float64(max(n, 1)) }
	line := fmt.Sprintf("%-32s %7d %7.0f %8.2f %8.2f %8.3f %9.3f %7.3f %8.3f", r.name, r.clients,
		r.median(func(_ int, t turn) float64 { return t.perSecond() }), percentile(50), percentile(99),
		each(used.server), each(used.database), each(used.load), each(used.server+used.database))
	if raw != nil {
		line += fmt.Sprintf("   %.2f", r.median(func(i int, t turn) float64 { return t.perSecond() / raw.turns[i].perSecond() }))
	}
	fmt.Println(line)
}

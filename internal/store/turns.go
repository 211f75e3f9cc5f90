package store

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/uuid"
)

// turns keep one tenant's requests, and of these its lists, which may run long,
// from taking every connection of the pool: all tenants need some. Where there is no
// place at all, they only count who waits.
type turns struct {
	mu       sync.Mutex
	most     int // at once, per tenant
	waiting  int // how many more may wait, per tenant; 0: any number
	byTenant map[uuid.UUID]*queue
}

type queue struct {
	places chan struct{}
	users  int // who hold or wait for a place
}

// take waits for a place and answers what gives it back. ErrBusy: too many wait.
func (t *turns) take(ctx context.Context, tenant uuid.UUID) (leave func(), err error) {
	q := t.join(tenant)
	if q == nil {
		return nil, ErrBusy
	}
	select {
	case q.places <- struct{}{}:
		return func() {
			<-q.places
			t.quit(tenant, q)
		}, nil
	case <-ctx.Done():
		t.quit(tenant, q)
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

func (t *turns) join(tenant uuid.UUID) *queue {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.byTenant[tenant]
	if q == nil {
		q = &queue{places: make(chan struct{}, t.most)}
		if t.byTenant == nil {
			t.byTenant = map[uuid.UUID]*queue{}
		}
		t.byTenant[tenant] = q
	}
	if t.waiting > 0 && q.users >= t.most+t.waiting {
		return nil
	}
	q.users++
	return q
}

func (t *turns) quit(tenant uuid.UUID, q *queue) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if q.users--; q.users == 0 {
		delete(t.byTenant, tenant)
	}
}

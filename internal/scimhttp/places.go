package scimhttp

import (
	"context"
	"sync"
)

// places are what large bodies wait for: so many are in hand at once, and of one
// tenant at most half as many, so that nobody's uploads, however slow, keep
// another tenant's waiting.
type places struct {
	all chan struct{}

	mu       sync.Mutex
	byTenant map[string]*tenantPlaces
}

// tenantPlaces are those of one tenant. It is forgotten when nobody holds or waits
// for one of them.
type tenantPlaces struct {
	taken chan struct{}
	users int
}

func newPlaces(n int) *places {
	return &places{all: make(chan struct{}, n), byTenant: map[string]*tenantPlaces{}}
}

// take waits for a place and returns what gives it back.
func (p *places) take(ctx context.Context, tenant string) (leave func(), err error) {
	mine := p.join(tenant)
	select {
	case mine.taken <- struct{}{}:
	case <-ctx.Done():
		p.quit(tenant, mine)
		return nil, ctx.Err()
	}
	give := func() {
		<-mine.taken
		p.quit(tenant, mine)
	}
	select {
	case p.all <- struct{}{}:
		return func() { <-p.all; give() }, nil
	case <-ctx.Done():
		give()
		return nil, ctx.Err()
	}
}

func (p *places) join(tenant string) *tenantPlaces {
	p.mu.Lock()
	defer p.mu.Unlock()
	mine := p.byTenant[tenant]
	if mine == nil {
		mine = &tenantPlaces{taken: make(chan struct{}, max(1, cap(p.all)/2))}
		p.byTenant[tenant] = mine
	}
	mine.users++
	return mine
}

func (p *places) quit(tenant string, mine *tenantPlaces) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if mine.users--; mine.users == 0 {
		delete(p.byTenant, tenant)
	}
}

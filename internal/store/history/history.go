// Package history reads what a tenant's provisioning clients asked and what came
// of it, and says in plain words what is wrong with how they do it.
//
// It writes nothing. A request's diagnoses are made when they are read, from the
// row that is there anyway: no write pays for them. What it looks at is bounded:
// the newest [MostRequests] requests of the time that is asked for.
package history

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// A Kernel is what the package needs of the store.
type Kernel struct {
	Tenant     uuid.UUID
	Slug       string        // of the tenant
	Connection uuid.NullUUID // null: every connection of the tenant

	// Read sends what queue adds in one transaction that sees the tenant's rows
	// and, unless Connection is null, that connection's only.
	Read func(ctx context.Context, queue func(*pgx.Batch)) error

	// Rules says what the published rules name, and which of them fail.
	Rules func(ctx context.Context) (Rules, error)
}

// Rules are the tenant's published rules, as far as a directory can break them.
type Rules struct {
	Version     int64       // 0: none are published
	Fault       string      // why none of them can be read
	Connections []uuid.UUID // whose groups count
	Groups      []string    // the names of groups, as the rules spell them
	Failing     []FailingRule
}

// A FailingRule is one that cannot tell for somebody, for another reason than
// that the person has no such attribute. It grants them nothing.
type FailingRule struct {
	Rule    string // empty: what follows from all of them together
	Message string
	People  int // for whom it fails, of those who were looked at
	Of      int
}

// A Reader reads one tenant's past.
type Reader struct{ kernel Kernel }

// New returns the Reader of the tenant that the kernel is of.
func New(kernel Kernel) *Reader { return &Reader{kernel} }

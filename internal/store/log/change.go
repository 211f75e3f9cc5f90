// Package log is the tenant's ordered log of changes: its append, its
// sequencer and the counters that are folded from it.
//
// A change is written in the transaction of what it records. Its number n is
// drawn from a sequence after the subject was locked, so n follows the order of
// effects on one subject; its seq, gap-free per tenant, is given afterwards by
// the one sequencer, so that a reader of seq cannot skip a change.
package log

import (
	"crypto/sha256"
	"encoding/json"

	"github.com/google/uuid"
)

// A Change is one entry of a tenant's log before it has its number.
type Change struct {
	Tenant     uuid.UUID
	Connection uuid.NullUUID // null: of the whole tenant
	Subject    uuid.UUID
	Kind       string // "user.created", "group.members", …
	Version    int64  // of the subject after the change; 0: it has none
	Actor      string
	Request    uuid.UUID
	Body       []byte            // JSON: what changed
	Roles      map[string]Effect // by user id: the roles that changed; empty: none
}

// An Effect names the roles that a change gave one person and took from them.
type Effect struct {
	Gained []string `json:"gained,omitempty"`
	Lost   []string `json:"lost,omitempty"`
}

// Any reports whether a role changed at all.
func (e Effect) Any() bool { return len(e.Gained)+len(e.Lost) > 0 }

// args are the parameters of the change, in the order in which its part mentions them.
func (c Change) args() []any {
	digest := sha256.Sum256(c.Body)
	var roles []byte
	if len(c.Roles) > 0 {
		roles, _ = json.Marshal(c.Roles) // strings only: cannot fail
	}
	return []any{c.Tenant, c.Connection, c.Subject, c.Request, c.Kind, c.Version, c.Actor, text(c.Body), digest[:], text(roles)}
}

// text keeps JSON bytes as a text parameter; nil stays null.
func text(b []byte) *string {
	if b == nil {
		return nil
	}
	s := string(b)
	return &s
}

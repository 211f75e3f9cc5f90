package store

import (
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/rolemap"
)

// A rule that fails while it is derived grants nothing, and the change that it was
// derived for stands. Whoever runs the server learns of it all the same: each
// failure is counted, and said in the log once a minute for each rule. The log
// holds nothing of the person; for whom a rule fails, and why, the tenant's own
// admin learns from the request doctor and from Explain.

const (
	faultPause = time.Minute // between two lines about the same rule
	maxFaults  = 1024        // rules that are remembered
)

// A faultLog remembers of which rules it was said that they fail.
type faultLog struct {
	mu   sync.Mutex
	said map[faultKey]time.Time
}

type faultKey struct {
	tenant uuid.UUID
	rule   string
}

// due reports whether it is time for a line about the rule.
func (l *faultLog) due(key faultKey, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last, known := l.said[key]; known && now.Sub(last) < faultPause {
		return false
	}
	if l.said == nil || len(l.said) >= maxFaults {
		l.said = map[faultKey]time.Time{}
	}
	l.said[key] = now
	return true
}

// ruleFailed reports a rule that could not tell. One that reads what the person
// does not have is not its author's mistake, and usual.
func (s *Store) ruleFailed(tenant uuid.UUID, version int64, f rolemap.Fault) {
	if f.Absent {
		return
	}
	s.metrics.ruleFailed()
	if s.faults.due(faultKey{tenant, f.Rule}, time.Now()) {
		s.log.Warn("a rule fails and grants nothing; muster doctor says for whom", "tenant", tenant, "rule_set", version, "rule", f.Rule, "clause", f.Clause)
	}
}

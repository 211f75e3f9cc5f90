package storetest

import (
	"context"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/localpg"
)

// A Standby is what commits have to reach while it is required: one that is not
// there. A COMMIT then waits, after it is durable here and before it is safe.
type Standby struct {
	t       testing.TB
	cluster *localpg.Cluster
}

// AbsentStandby is the one of a cluster of [Durable]. It is not required yet.
func AbsentStandby(t testing.TB, cluster *localpg.Cluster) *Standby {
	s := &Standby{t: t, cluster: cluster}
	t.Cleanup(s.Lift)
	return s
}

// Psql runs a statement as the superuser.
func (s *Standby) Psql(sql string) string {
	s.t.Helper()
	out, err := s.cluster.Psql(context.Background(), "muster", sql)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// Require returns once commits wait.
func (s *Standby) Require() {
	s.t.Helper()
	s.Psql(`alter system set synchronous_standby_names = 'absent'; select pg_reload_conf();`)
	for {
		probed := make(chan error, 1)
		go func() {
			_, err := s.cluster.Psql(context.Background(), "muster", `set application_name = 'probe'; select pg_logical_emit_message(true, 'probe', '');`)
			probed <- err
		}()
		for done := false; !done; {
			if pid := s.Psql(`select pid from pg_stat_activity where application_name = 'probe' and wait_event = 'SyncRep'`); pid != "" {
				s.Psql(`select pg_cancel_backend(` + pid + `)`)
				<-probed
				return
			}
			select {
			case err := <-probed:
				if err != nil {
					s.t.Fatal(err)
				}
				done = true // not yet
			default:
			}
		}
	}
}

// Lift lets every commit that waits go on.
func (s *Standby) Lift() {
	s.t.Helper()
	s.Psql(`alter system reset synchronous_standby_names; select pg_reload_conf();`)
}

// A Wait is one COMMIT of a backend that waits for the standby.
type Wait struct{ Backend, Since string }

// Waits are those of the server's role.
func (s *Standby) Waits() []Wait {
	s.t.Helper()
	var found []Wait
	for line := range strings.Lines(s.Psql(`select pid, query_start from pg_stat_activity where usename = 'muster_server' and wait_event = 'SyncRep'`)) {
		backend, since, _ := strings.Cut(strings.TrimSpace(line), "|")
		found = append(found, Wait{backend, since})
	}
	return found
}

package storetest

import (
	"context"
	"testing"

	"github.com/muster-id/muster/internal/localpg"
)

// Durable gives a test of durability a cluster of its own, with fsync on and
// with whatever change sets, and a migrated database in it.
func Durable(t testing.TB, change ...func(*localpg.Config)) (cluster *localpg.Cluster, ownerURL, serverURL string) {
	t.Helper()
	ctx := context.Background()
	fsync := func(c *localpg.Config) { c.Fsync = true }
	cluster, err := localpg.StartForTests(ctx, append([]func(*localpg.Config){fsync}, change...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	const name = "muster"
	if err := migrate(ctx, cluster, name); err != nil {
		t.Fatal(err)
	}
	return cluster, cluster.OwnerURL(name), cluster.ServerURL(name)
}

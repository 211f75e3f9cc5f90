package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// A prepared plan is kept by its connection until the table is analysed anew.
// One that was made while a table was small may read all of it when a first
// sync has filled it. growth notices that a table has doubled.
type growth struct{ sizes map[string]int64 }

// worthIt is the size in bytes below which any plan serves.
const worthIt = 64 << 10

// replan lets go of the connections, and with them of their plans, when a
// table has doubled since it was last asked.
func (s *Store) replan(ctx context.Context, g *growth) error {
	rows, err := s.pool.Query(ctx, `
		select c.relname, pg_relation_size(c.oid) from pg_class c
		join pg_namespace n on n.oid = c.relnamespace
		where n.nspname = 'public' and c.relkind = 'r'`)
	if err != nil {
		return err
	}
	sizes, doubled := map[string]int64{}, false
	var name string
	var size int64
	_, err = pgx.ForEachRow(rows, []any{&name, &size}, func() error {
		sizes[name] = max(g.sizes[name], size)
		if size > worthIt && size >= 2*g.sizes[name] {
			sizes[name], doubled = size, true
		} else if known, ok := g.sizes[name]; ok {
			sizes[name] = known
		}
		return nil
	})
	if err != nil {
		return err
	}
	if doubled && g.sizes != nil {
		s.pool.Reset()
	}
	g.sizes = sizes
	return nil
}

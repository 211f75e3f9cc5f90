package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// A prepared plan is kept by its connection until the table is analysed anew. One that
// was made while a table was small may read all of it when a first sync has filled it.
// growth is how large the tables were, in bytes, when plans were last made from nothing.
type growth map[string]int64

// A table of so many bytes that has grown by so many times is worth new plans. They cost
// some milliseconds a connection: a few times in the life of a database, not once a second
// of its first hour.
const (
	worthPlans = 1 << 20
	worthTimes = 4
)

// replan lets go of the connections, and with them of their plans, when a table has grown
// a great deal.
func (s *Store) replan(ctx context.Context, before *growth) error {
	rows, err := s.pool.Query(ctx, `
		select c.relname, pg_relation_size(c.oid) from pg_class c
		join pg_namespace n on n.oid = c.relnamespace
		where n.nspname = 'public' and c.relkind = 'r'`)
	if err != nil {
		return err
	}
	now, grown := growth{}, false
	var name string
	var size int64
	_, err = pgx.ForEachRow(rows, []any{&name, &size}, func() error {
		now[name] = size
		grown = grown || size > worthPlans && size >= worthTimes*(*before)[name]
		return nil
	})
	if err != nil {
		return err
	}
	if grown && *before != nil {
		s.pool.Reset()
	}
	if grown || *before == nil {
		*before = now
	}
	return nil
}

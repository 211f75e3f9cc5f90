package store

import (
	"context"
	"fmt"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store/filter"
)

const (
	defaultCount = 100

	// MaxCount is how many resources a page holds at most.
	MaxCount = 1000
)

// A Query asks for one page of a list (RFC 7644 §3.4.2).
type Query struct {
	Filter      *scim.Filter // bound; nil: all
	StartIndex  int          // of the first item, from 1; less means 1
	Count       int          // of items; negative means 100, more than 1,000 means 1,000
	WithMembers bool         // of groups
	WithGroups  bool         // of users
}

// tooMany says of a query that ran into the statement timeout that its filter is
// to blame. Where there is none, the database is.
func (q Query) tooMany(err error) error {
	if q.Filter != nil && state(err) == "57014" {
		return fmt.Errorf("%w: %v", ErrTooMany, err)
	}
	return err
}

// A Page is one page of a list, in the order in which its items were made.
type Page[T any] struct {
	Total, StartIndex int
	Items             []T
}

// A listing is a Query made SQL.
type listing struct {
	where         string
	args          []any
	offset, count int
}

func (dir *Directory) listing(q Query, rt *scim.ResourceType, alias string) (listing, error) {
	l := listing{
		where: alias + `.tenant_id = $1 and ` + dir.within(alias+".connection_id", "$2") + ` and ` + alias + `.deleted_at is null`,
		args:  []any{dir.tenant, dir.narrowed()},
		count: q.Count, offset: max(q.StartIndex, 1) - 1,
	}
	if l.count < 0 {
		l.count = defaultCount
	}
	l.count = min(l.count, MaxCount)
	if q.Filter == nil {
		return l, nil
	}
	compiled, err := filter.Compile(q.Filter, rt, len(l.args)+1)
	if err != nil {
		return listing{}, err
	}
	l.where += ` and (` + compiled.Where + `)`
	l.args = append(l.args, compiled.Args...)
	return l, nil
}

// queue reads the page and its total.
func (l listing) queue(b *pgx.Batch, columns, from string, rows func(pgx.Rows) error) {
	if l.count > 0 {
		n := len(l.args)
		b.Queue(l.page(columns, from, 1), append(l.args[:n:n], l.count, l.offset)...).Query(rows)
	}
}

// page is the statement of the page. Its last parameters are count and offset.
func (l listing) page(columns, from string, order int) string {
	n := len(l.args)
	return `select ` + columns + ` from ` + from + ` where ` + l.where + ` order by ` + strconv.Itoa(order) +
		` limit $` + strconv.Itoa(n+1) + ` offset $` + strconv.Itoa(n+2)
}

func (l listing) queueTotal(b *pgx.Batch, from string, total *int) {
	b.Queue(`select count(*) from `+from+` where `+l.where, l.args...).QueryRow(func(row pgx.Row) error { return row.Scan(total) })
}

// queueFoldedTotal counts a connection's living resources without visiting
// them: a folded base and the changes since.
func (dir *Directory) queueFoldedTotal(b *pgx.Batch, resourceType string, total *int) {
	b.Queue(`
		with base as (
			select total, folded from totals where tenant_id = $1 and connection_id = $2 and resource_type = $3
			union all select 0, '0' order by 1 desc limit 1
		)
		select base.total + coalesce((
			select sum(case when c.kind in ('user.deleted', 'group.deleted') then -1 else 1 end)
			from changes c
			where c.tenant_id = $1 and c.connection_id = $2 and c.xid >= base.folded
			and c.kind = any($4)), 0)
		from base`, dir.tenant, dir.connection, resourceType, countedKinds(resourceType)).
		QueryRow(func(row pgx.Row) error { return row.Scan(total) })
}

// countedKinds are the changes by which the number of living resources moves.
func countedKinds(resourceType string) []string {
	if resourceType == "User" {
		return []string{"user.created", "user.restored", "user.deleted"}
	}
	return []string{"group.created", "group.restored", "group.deleted"}
}

// addGroup gives a user of the page one of their groups. A user who came onto
// the page between its two statements has none there.
func addGroup(items []User, user uuid.UUID, g GroupRef) {
	for i := range items {
		if items[i].ID == user {
			items[i].Groups = append(items[i].Groups, g)
			return
		}
	}
}

// Users lists living users.
func (dir *Directory) Users(ctx context.Context, q Query) (Page[User], error) {
	l, err := dir.listing(q, scim.UserType(), "u")
	if err != nil {
		return Page[User]{}, dir.refuse(ctx, err)
	}
	page := Page[User]{StartIndex: l.offset + 1}
	b := &pgx.Batch{}
	dir.enter(b)
	l.queue(b, userColumns, "users u", func(rows pgx.Rows) (err error) {
		page.Items, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (u User, err error) { return u, u.scan(row) })
		return err
	})
	if q.Filter == nil && dir.connection != uuid.Nil {
		dir.queueFoldedTotal(b, "User", &page.Total)
	} else {
		l.queueTotal(b, "users u", &page.Total)
	}
	if q.WithGroups && l.count > 0 {
		dir.queueGroupRefs(b, l.page(`u.id`, `users u`, 1), append(l.args[1:len(l.args):len(l.args)], l.count, l.offset),
			func(user uuid.UUID, g GroupRef) { addGroup(page.Items, user, g) })
	}
	return page, q.tooMany(dir.store.read(ctx, b))
}

// Groups lists living groups.
func (dir *Directory) Groups(ctx context.Context, q Query) (Page[Group], error) {
	l, err := dir.listing(q, scim.GroupType(), "g")
	if err != nil {
		return Page[Group]{}, dir.refuse(ctx, err)
	}
	page := Page[Group]{StartIndex: l.offset + 1}
	b := &pgx.Batch{}
	dir.enter(b)
	l.queue(b, groupColumns, "groups g", func(rows pgx.Rows) (err error) {
		page.Items, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (g Group, err error) { return g, g.scan(row) })
		return err
	})
	if q.Filter == nil && dir.connection != uuid.Nil {
		dir.queueFoldedTotal(b, "Group", &page.Total)
	} else {
		l.queueTotal(b, "groups g", &page.Total)
	}
	if q.WithMembers && l.count > 0 {
		dir.queueMembers(b, l.page(`g.id`, `groups g`, 1), append(l.args[1:len(l.args):len(l.args)], l.count, l.offset),
			func(group uuid.UUID, m Member) { addMember(page.Items, group, m) })
	}
	err = q.tooMany(dir.store.read(ctx, b))
	for i := range page.Items {
		if q.WithMembers && page.Items[i].Members == nil {
			page.Items[i].Members = []Member{}
		}
	}
	return page, err
}

func addMember(items []Group, group uuid.UUID, m Member) {
	for i := range items {
		if items[i].ID == group {
			items[i].Members = append(items[i].Members, m)
			return
		}
	}
}

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
	rt            *scim.ResourceType
	where         string
	args          []any
	filtered      bool
	offset, count int
}

func (dir *Directory) listing(q Query, rt *scim.ResourceType, alias string) (listing, error) {
	l := listing{
		rt:    rt,
		where: alias + `.tenant_id = $1 and ` + dir.within(alias+".connection_id", "$2") + ` and ` + alias + `.deleted_at is null`,
		args:  []any{dir.tenant, dir.narrowed()},
		count: q.Count, offset: max(q.StartIndex, 1) - 1,
	}
	if l.count < 0 {
		l.count = defaultCount
	}
	l.count = min(l.count, MaxCount)
	if alias == "r" { // registered types share one table
		l.args = append(l.args, rt.Name)
		l.where += ` and r.resource_type = $3`
	}
	if q.Filter == nil {
		return l, nil
	}
	compiled, err := filter.Compile(q.Filter, rt, len(l.args)+1)
	if err != nil {
		return listing{}, err
	}
	l.filtered = true
	l.where += ` and (` + compiled.Where + `)`
	l.args = append(l.args, compiled.Args...)
	return l, nil
}

// page is the statement of the page. Its last parameters are count and offset.
// The total of a filtered list is counted beside it, over ids alone; that of an
// unfiltered one comes from elsewhere and is 0 here.
func (l listing) page(columns, table, alias string) string {
	total := `0`
	if l.filtered {
		total = `count(*) over ()`
	}
	n := len(l.args)
	return `select ` + columns + `, page.total from (
			select ` + alias + `.id, ` + total + ` as total from ` + table + ` ` + alias + ` where ` + l.where + `
			order by 1 limit $` + strconv.Itoa(n+1) + ` offset $` + strconv.Itoa(n+2) + `) page
		join ` + table + ` ` + alias + ` on ` + alias + `.tenant_id = $1 and ` + alias + `.id = page.id
		order by page.id`
}

func (l listing) pageArgs() []any { return append(l.args[:len(l.args):len(l.args)], l.count, l.offset) }

func (l listing) queueTotal(b *pgx.Batch, table, alias string, total *int) {
	b.Queue(`select count(*) from `+table+` `+alias+` where `+l.where, l.args...).QueryRow(func(row pgx.Row) error { return row.Scan(total) })
}

// past reports whether the page said nothing about the total: it holds nothing,
// and not because there is nothing.
func (l listing) past(items int) bool {
	return l.filtered && items == 0 && (l.offset > 0 || l.count == 0)
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
			select sum(case when c.kind like '%.deleted' then -1 else 1 end)
			from changes c
			where c.tenant_id = $1 and c.connection_id = $2 and c.xid >= base.folded
			and c.kind = any($4)), 0)
		from base`, dir.tenant, dir.connection, resourceType, countedKinds(resourceType)).
		QueryRow(func(row pgx.Row) error { return row.Scan(total) })
}

// countedKinds are the changes by which the number of living resources moves.
func countedKinds(resourceType string) []string {
	switch resourceType {
	case "User":
		return []string{"user.created", "user.restored", "user.deleted"}
	case "Group":
		return []string{"group.created", "group.restored", "group.deleted"}
	}
	return []string{"resource." + resourceType + ".created", "resource." + resourceType + ".deleted"}
}

// Users lists living users.
func (dir *Directory) Users(ctx context.Context, q Query) (Page[User], error) {
	l, err := dir.listing(q, dir.UserType(), "u")
	if err != nil {
		return Page[User]{}, dir.refuse(ctx, err)
	}
	page := Page[User]{StartIndex: l.offset + 1}
	b := &pgx.Batch{}
	dir.enter(b)
	if l.count > 0 {
		b.Queue(l.page(userColumns+`, `+groupsColumns(q.WithGroups), "users", "u"), l.pageArgs()...).Query(func(rows pgx.Rows) (err error) {
			page.Items, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (u User, err error) {
				return u, u.scanWithGroups(row, &page.Total)
			})
			return err
		})
	}
	if !l.filtered {
		dir.queueAll(b, l, "users", "u", &page.Total)
	}
	leave, err := dir.store.lists.take(ctx, dir.tenant)
	if err != nil {
		return Page[User]{}, err
	}
	defer leave()
	if err := q.tooMany(dir.read(ctx, b)); err != nil {
		return Page[User]{}, err
	}
	if l.past(len(page.Items)) {
		err = q.tooMany(dir.countAll(ctx, l, "users", "u", &page.Total))
	}
	if err == nil {
		err = dir.reachUp(ctx, page.Items)
	}
	return page, err
}

// Groups lists living groups.
func (dir *Directory) Groups(ctx context.Context, q Query) (Page[Group], error) {
	l, err := dir.listing(q, dir.GroupType(), "g")
	if err != nil {
		return Page[Group]{}, dir.refuse(ctx, err)
	}
	page := Page[Group]{StartIndex: l.offset + 1}
	b := &pgx.Batch{}
	dir.enter(b)
	if l.count > 0 {
		b.Queue(l.page(groupColumns, "groups", "g"), l.pageArgs()...).Query(func(rows pgx.Rows) (err error) {
			page.Items, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (g Group, err error) {
				return g, row.Scan(append(g.targets(), &page.Total)...)
			})
			return err
		})
		if q.WithMembers {
			dir.queueMembers(b, `select listed.id from (`+l.page(`g.id`, "groups", "g")+`) listed`, l.pageArgs()[1:],
				func(group uuid.UUID, m Member) { addMember(page.Items, group, m) })
		}
	}
	if !l.filtered {
		dir.queueAll(b, l, "groups", "g", &page.Total)
	}
	leave, err := dir.store.lists.take(ctx, dir.tenant)
	if err != nil {
		return Page[Group]{}, err
	}
	defer leave()
	if err := q.tooMany(dir.read(ctx, b)); err != nil {
		return Page[Group]{}, err
	}
	if l.past(len(page.Items)) {
		err = q.tooMany(dir.countAll(ctx, l, "groups", "g", &page.Total))
	}
	for i := range page.Items {
		if q.WithMembers && page.Items[i].Members == nil {
			page.Items[i].Members = []Member{}
		}
	}
	return page, err
}

// queueAll counts an unfiltered list.
func (dir *Directory) queueAll(b *pgx.Batch, l listing, table, alias string, total *int) {
	if dir.connection == uuid.Nil {
		l.queueTotal(b, table, alias, total)
		return
	}
	dir.queueFoldedTotal(b, l.rt.Name, total)
}

// countAll counts a filtered list whose page said nothing about it.
func (dir *Directory) countAll(ctx context.Context, l listing, table, alias string, total *int) error {
	b := &pgx.Batch{}
	dir.enter(b)
	l.queueTotal(b, table, alias, total)
	return dir.read(ctx, b)
}

func addMember(items []Group, group uuid.UUID, m Member) {
	for i := range items {
		if items[i].ID == group {
			items[i].Members = append(items[i].Members, m)
			return
		}
	}
}

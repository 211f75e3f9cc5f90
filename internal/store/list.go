package store

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store/filter"
)

const (
	// DefaultCount is how many resources a page holds that asks for no number.
	DefaultCount = 100

	// MaxCount is how many resources a page holds at most.
	MaxCount = 1000

	// MaxPageMembers is from how many members on a page of groups ends: one group
	// is shown whole, however large.
	MaxPageMembers = 200_000
)

// A Query asks for one page of a list (RFC 7644 §3.4.2, RFC 9865 §2).
type Query struct {
	Types       []*scim.ResourceType // whose resources; one or several
	Filters     []*scim.Filter       // bound to each of Types; nil: all resources
	Sort        *scim.Sort           // of Types; nil: the order in which the resources were made
	Base        string               // the tenant's base URL, under which references stand
	Count       int                  // of items; negative means 100, more than 1,000 means 1,000
	StartIndex  int                  // of the first item, from 1; less means 1
	ByCursor    bool                 // page by cursor, not by index
	Cursor      string               // where the page begins; "": at the beginning of the list
	WithMembers bool                 // of groups
	WithGroups  bool                 // of users
}

// A Page is one page of a list.
type Page struct {
	Total      int // of the list; where Counted
	Counted    bool
	StartIndex int // of the first item; 0 where the list is paged by cursor
	Items      []Found

	// Cursors of the pages after and before this one; "" where there is none.
	Next, Previous string
}

// A Found is one resource of a list, as answers show it.
type Found struct {
	Type     *scim.ResourceType
	ID       uuid.UUID
	Created  time.Time
	Modified time.Time
	Version  int64
	JSON     []byte     // the attributes, as scim.AppendJSON writes them
	Groups   []GroupRef // of a user, where they were asked for
	Members  []Member   // of a group; nil: not read

	nested bool    // one of Groups is in others, which are not among them yet
	key    *string // by which it is sorted
}

// List answers one page of the living resources that q asks for, in one round
// trip; in two where a user is in groups that are in groups, or where a page by
// index lies behind the end of a list that is filtered.
//
// Paged by cursor, a resource that is there and unchanged all the while is on
// exactly one page, whatever comes and goes beside it. A list that is paged so
// is counted only where that costs nothing, or nothing else is asked for.
func (dir *Directory) List(ctx context.Context, q Query) (Page, error) {
	l, err := dir.listing(q)
	if err != nil {
		return Page{}, dir.refuse(ctx, err)
	}
	leave, err := dir.store.lists.take(ctx, dir.tenant)
	if err != nil {
		return Page{}, err
	}
	defer leave()
	page, err := l.read(ctx)
	if err == nil && l.from.Back && len(page.Items) == 0 { // nothing is left before: the list begins here
		q.Cursor = ""
		l, err = dir.listing(q)
		if err == nil {
			page, err = l.read(ctx)
		}
	}
	if err == nil {
		err = dir.reachUp(ctx, page.nested())
	}
	return page, err
}

// A listing is a Query on its way to the database.
type listing struct {
	Query
	dir    *Directory
	page   filter.Page
	limit  int // rows to read: one more than are shown tells whether there are more
	offset int
	from   cursor // where the page begins; zero: at the beginning of the list
	now    time.Time
}

func (dir *Directory) listing(q Query) (*listing, error) {
	l := &listing{Query: q, dir: dir}
	if l.Count < 0 {
		l.Count = DefaultCount
	}
	l.Count = min(l.Count, MaxCount)
	l.limit = l.Count
	asked := filter.List{Narrowed: dir.connection != uuid.Nil, Base: q.Base}
	switch {
	case !q.ByCursor:
		l.offset = max(q.StartIndex, 1) - 1
		asked.Counted = q.Filters != nil
	case q.Cursor != "":
		var err error
		if l.from, err = dir.openCursor(q.Cursor, l.fingerprint()); err != nil {
			return nil, err
		}
		if l.from.count != l.Count {
			return nil, ErrOtherCount
		}
		asked.From = &l.from.Position
		fallthrough
	default:
		l.limit = min(l.Count, 1) + l.Count
		asked.Most = l.limit
	}
	for i, rt := range q.Types {
		part := filter.Part{Type: rt}
		if q.Filters != nil {
			part.Filter = q.Filters[i]
		}
		if q.Sort != nil {
			part.Sort = q.Sort.Refs[i]
			asked.Sorted, asked.Descending = true, q.Sort.Descending
		}
		asked.Parts = append(asked.Parts, part)
	}
	var err error
	l.page, err = asked.Page()
	return l, err
}

// read asks the database for the page.
func (l *listing) read(ctx context.Context) (Page, error) {
	page := Page{StartIndex: l.offset + 1}
	b := &pgx.Batch{}
	l.dir.enter(b)
	if l.ByCursor || l.Filters == nil {
		l.queueOrder(b)
	}
	if l.ByCursor {
		page.StartIndex = 0
	}
	if l.limit > 0 {
		l.queuePage(b, &page)
	}
	l.queueTotal(b, &page)
	if err := l.tooMany(l.dir.read(ctx, b)); err != nil {
		return Page{}, err
	}
	if l.from.expired(l.now, l.dir.store.CursorTimeout()) {
		return Page{}, ErrExpiredCursor
	}
	if l.ByCursor {
		return page, l.turn(&page)
	}
	if l.Filters != nil && len(page.Items) == 0 && l.offset > 0 && l.limit > 0 { // the page says nothing about the total
		return page, l.countAll(ctx, &page)
	}
	page.Counted = true
	return page, nil
}

// queueOrder forbids PostgreSQL, for this transaction, to sort where an index gives
// the order of the page: it takes row-level security for far more selective than it
// is, and would sort the tenant.
func (l *listing) queueOrder(b *pgx.Batch) {
	b.Queue(`select now(), set_config('enable_sort', 'off', true)`).
		QueryRow(func(row pgx.Row) error { return row.Scan(&l.now, nil) })
}

// tooMany says of a query that ran into the statement timeout that what it asks
// for is to blame. Where it asks for nothing in particular, the database is.
func (l *listing) tooMany(err error) error {
	if (l.Filters != nil || l.Sort != nil) && state(err) == "57014" {
		return fmt.Errorf("%w: %v", ErrTooMany, err)
	}
	return err
}

// queuePage reads the page's rows and then, one by one, what is shown of them.
func (l *listing) queuePage(b *pgx.Batch, page *Page) {
	statement, args := `select found.*, page.part, page.text, page.total from (`+l.page.Rows+`) page
		cross join lateral (`+l.columns()+`) found order by `+l.page.Order, l.page.Args
	if one := l.page.One; one != "" && !l.ByCursor {
		last := len(l.page.CountArgs) + 2
		columns, table, row := shown(l.Types[0], l.Query)
		statement, args = `select `+columns+`, 0, null::text, 1::bigint from `+table+` `+row+` where `+one+
			` limit $`+strconv.Itoa(last+1)+`::bigint offset $`+strconv.Itoa(last+2)+`::bigint`, l.page.CountArgs
	}
	args = slices.Concat([]any{l.dir.tenant, l.dir.narrowed()}, args, []any{l.limit, l.offset})
	b.Queue(statement, args...).Query(func(rows pgx.Rows) error {
		members := 0
		for rows.Next() {
			if members > MaxPageMembers {
				return errPageMembers
			}
			var f Found
			if err := l.scan(rows, &f, &page.Total); err != nil {
				return err
			}
			members += len(f.Members)
			page.Items = append(page.Items, f)
		}
		return rows.Err()
	})
}

// errPageMembers: what a page would show does not fit into memory. Its groups are
// not left out, because a client would take that for the end of the list.
var errPageMembers = scim.TooMany("the groups of this page have more than %d members: ask for fewer at a time (count), or for none of their members (excludedAttributes=members)", MaxPageMembers)

// columns selects what is shown of the row that page names. A look-up by key for
// each is right whatever the planner expects the page to hold.
func (l *listing) columns() string {
	arms := make([]string, len(l.Types))
	for i, rt := range l.Types {
		columns, table, row := shown(rt, l.Query)
		arms[i] = `select ` + columns + ` from ` + table + ` ` + row + ` where ` + row + `.tenant_id = $1 and ` + row + `.id = page.id`
		if len(l.Types) > 1 {
			arms[i] += ` and page.part = ` + strconv.Itoa(i)
		}
	}
	return strings.Join(arms, ` union all `) + ` offset 0`
}

// shown are the columns that are shown of a resource of rt: its row's, and the rows that
// an attribute of it is kept as, each as one text.
func shown(rt *scim.ResourceType, q Query) (columns, table, row string) {
	switch rt.Name {
	case "User":
		return `u.id, u.created_at, u.modified_at, u.version, u.resource, ` + groupsColumns(q.WithGroups), `users`, `u`
	case "Group":
		return `g.id, g.created_at, g.modified_at, ` + filter.GroupVersion + `, g.resource, ` + membersColumn(q.WithMembers) + `, false`, `groups`, `g`
	}
	return `r.id, r.created_at, r.modified_at, r.version, r.resource, null::text[], false`, `resources`, `r`
}

// membersColumn reads the living members of a group; null where they are not wanted.
func membersColumn(wanted bool) string {
	if !wanted {
		return `null::text[]`
	}
	return `array(
			select 'U' || mu.id::text || mu.display from memberships m
			cross join lateral (select id, coalesce(resource->>'displayName', resource->>'userName', '') as display, deleted_at from users
				where tenant_id = g.tenant_id and id = m.member_user offset 0) mu
			where m.tenant_id = g.tenant_id and m.group_id = g.id and mu.deleted_at is null
			union all
			select 'G' || mg.id::text || mg.display_name from memberships m
			cross join lateral (select id, display_name, deleted_at from groups
				where tenant_id = g.tenant_id and id = m.member_group offset 0) mg
			where m.tenant_id = g.tenant_id and m.group_id = g.id and mg.deleted_at is null)`
}

func (l *listing) scan(row pgx.Row, f *Found, total *int) error {
	var part int
	var related []string
	err := row.Scan(&f.ID, &f.Created, &f.Modified, &f.Version, &f.JSON, &related, &f.nested, &part, &f.key, total)
	if err != nil {
		return err
	}
	f.Type = l.Types[part]
	if f.Type.Name == "Group" {
		f.Members = memberRefs(related)
	} else {
		f.Groups = groupRefs(related)
	}
	return nil
}

// memberRefs reads what membersColumn has written, in the order of their ids; nil
// stays nil.
func memberRefs(texts []string) []Member {
	if texts == nil {
		return nil
	}
	kinds := map[byte]string{'U': "User", 'G': "Group"}
	members := make([]Member, 0, len(texts))
	for _, text := range texts {
		const id = 1 + 36 // characters, with the kind's
		if key, err := uuid.Parse(text[1:id]); err == nil {
			members = append(members, Member{ID: key, Type: kinds[text[0]], Display: text[id:]})
		}
	}
	slices.SortFunc(members, func(a, b Member) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return members
}

// queueTotal counts the list where the page does not, if it must be known or
// costs nothing.
func (l *listing) queueTotal(b *pgx.Batch, page *Page) {
	switch {
	case l.Filters == nil && l.dir.connection != uuid.Nil:
		for _, rt := range l.Types {
			l.dir.queueFoldedTotal(b, rt.Name, &page.Total)
		}
		page.Counted = true
	case l.limit == 0, !l.ByCursor && l.Filters == nil:
		l.queueCount(b, page)
	}
}

func (l *listing) queueCount(b *pgx.Batch, page *Page) {
	statement := l.page.Count
	b.Queue(statement, append([]any{l.dir.tenant, l.dir.narrowed()}, l.page.CountArgs...)...).
		QueryRow(func(row pgx.Row) error { return row.Scan(&page.Total) })
	page.Counted = true
}

// countAll counts a list in a trip of its own.
func (l *listing) countAll(ctx context.Context, page *Page) error {
	b := &pgx.Batch{}
	l.dir.enter(b)
	l.queueCount(b, page)
	return l.tooMany(l.dir.read(ctx, b))
}

// queueFoldedTotal adds to total the number of a connection's living resources
// without visiting them: a folded base and the changes since.
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
		QueryRow(func(row pgx.Row) error {
			var n int
			err := row.Scan(&n)
			*total += n
			return err
		})
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

// nested are the users of the page whose groups are in groups.
func (p *Page) nested() map[uuid.UUID]*[]GroupRef {
	var found map[uuid.UUID]*[]GroupRef
	for i := range p.Items {
		if f := &p.Items[i]; f.nested {
			if found == nil {
				found = map[uuid.UUID]*[]GroupRef{}
			}
			found[f.ID] = &f.Groups
		}
	}
	return found
}

package filter

import (
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/scim"
)

// A Part is the resources of one type that a list asks for.
type Part struct {
	Type   *scim.ResourceType
	Filter *scim.Filter // bound to Type; nil: all
	Sort   scim.Ref     // of Type, where the list is sorted
}

// A List asks for one page of living resources of one type or of several, in
// one order. Its tenant is parameter $1, its connection $2.
type List struct {
	Parts      []Part
	Sorted     bool // by each part's Sort; else in the order in which they were made
	Descending bool
	Narrowed   bool      // to the connection; else $2 is null, for all
	Counted    bool      // every row of the page knows how many there are in all
	From       *Position // where the page begins, without the resource there; nil: at the list's beginning
	Most       int       // rows that are asked for at most, none of them left out before; 0: any number
	Base       string    // the tenant's base URL
}

// A Position is a resource's place in a list. It needs no resource to be there.
type Position struct {
	Key  *string // what it is sorted by, as text; nil: it has no value
	ID   string
	Back bool // the page ends here, and its rows come in reverse
}

// A Page is a List in SQL.
type Page struct {
	// Rows selects part (the number of the row's Part), id, key (as text) and
	// total (0 unless Counted). Two more parameters follow Args: how many rows,
	// and how many to leave out before them.
	Rows  string
	Args  []any
	Order string // of the rows, for a statement in which they are called page

	// One is the condition of the row, with the parameters of Count, where no more than
	// one can match: it is the list, and needs neither order nor count. Else "".
	One string

	Count     string // selects how many resources there are in all
	CountArgs []any
}

// Page returns the list's statements.
func (l List) Page() (Page, error) {
	p := pager{List: l, compiler: newCompiler(l.Base, 3), descending: l.Descending}
	if l.From != nil && l.From.Back {
		p.descending = !p.descending
	}
	for _, part := range l.Parts {
		p.add(part)
	}
	counted := len(p.args)
	p.sort()
	rows := p.rows()
	return Page{
		Rows: rows, Args: p.args, Order: p.order("page."),
		One: p.one(), Count: p.count(), CountArgs: p.args[:counted],
	}, p.err
}

// one is the condition of the only row that can match, "" where several can.
func (p *pager) one() string {
	if len(p.parts) == 1 && p.Narrowed && p.From == nil && p.parts[0].table.singles(p.Parts[0].Filter) {
		return p.parts[0].where
	}
	return ""
}

// pager compiles a List.
type pager struct {
	List
	*compiler
	parts      []compiledPart
	descending bool // the order of the rows, which that of a page before is not
}

type compiledPart struct {
	*compiler
	where string
	key   sortKey
}

func (p *pager) add(part Part) {
	c := p.rowsOf(part.Type)
	row := c.table.row
	where := row + ".tenant_id = $1 and "
	if p.Narrowed {
		where += row + ".connection_id = $2"
	} else {
		where += "$2::uuid is null"
	}
	where += " and " + row + ".deleted_at is null"
	if c.table == resources {
		where += " and r.resource_type = " + c.arg(part.Type.Name, "text")
	}
	if part.Filter != nil {
		where += " and (" + c.filter(part.Filter) + ")"
	}
	p.parts = append(p.parts, compiledPart{compiler: c, where: where})
}

// sort gives the parts their keys, all of one kind.
func (p *pager) sort() {
	kind := ""
	for i := range p.parts {
		part := &p.parts[i]
		switch ref := p.Parts[i].Sort; {
		case !p.Sorted:
			part.key = part.made(p.Narrowed)
		case !ref.Absent:
			part.key = part.sortKey(ref, "", p.Narrowed)
			kind = part.key.kind
		}
	}
	for i := range p.parts {
		if ref := p.Parts[i].Sort; p.Sorted && ref.Absent {
			p.parts[i].key = p.parts[i].sortKey(ref, kind, p.Narrowed)
		}
	}
}

// rows selects a page. Parts are ordered together; where nothing is counted
// each gives no more rows than the page may need, so that an index can give
// them in order.
func (p *pager) rows() string {
	var arms []string
	for i, part := range p.parts {
		segments := p.segments(part)
		if len(segments) == 0 {
			segments = []string{"false"} // its parameters must be used
		}
		for _, condition := range segments {
			arms = append(arms, p.arm(i, part, condition))
		}
	}
	limit, offset := "$"+strconv.Itoa(p.next), "$"+strconv.Itoa(p.next+1)
	inner, total := "", "0::bigint"
	switch {
	case p.Counted:
		total = "count(*) over ()"
	case p.Most > 0: // a constant, from which PostgreSQL learns that it pays to read in order
		inner = " order by " + p.order("") + " limit " + p.most()
	case len(arms) > 1:
		inner = " order by " + p.order("") + " limit " + limit + "::bigint + " + offset + "::bigint"
	}
	from := "(" + strings.Join(arms, inner+") union all (") + inner + ")"
	return "select found.part, found.id, found.key::text as text, found.key, " + total + " as total from (" + from + ") found" +
		" order by " + p.order("found.") + " limit " + limit + "::bigint offset " + offset + "::bigint"
}

// most is one of few numbers that are not below Most, so that there are few
// different statements.
func (p *pager) most() string {
	most := 11
	for most < p.Most {
		most = (most-1)*10 + 1
	}
	return strconv.Itoa(most)
}

func (p *pager) arm(n int, part compiledPart, condition string) string {
	key := part.key.sql
	if key == "" {
		key = "null::text"
	}
	where := part.where
	if condition != "" {
		where += " and " + condition
	}
	return "select " + strconv.Itoa(n) + " as part, " + part.table.row + ".id, " + key + " as key" +
		" from " + part.table.name + " " + part.table.row + " where " + where
}

// segments are the conditions of the rows that come after the list's beginning,
// or its position: those with a value and those without one apart, so that an
// index serves either.
func (p *pager) segments(part compiledPart) []string {
	switch key := part.key; {
	case p.From == nil:
		return []string{""}
	case key.sql == "":
		return []string{p.beyondID(part)}
	case key.absent:
		return p.unvalued(part)
	case key.optional:
		return append(p.valued(part), p.unvalued(part)...)
	}
	return p.valued(part)
}

// valued are the rows with a value: beyond that of the position; all of them, or
// none, where that has none.
func (p *pager) valued(part compiledPart) []string {
	key := part.key
	switch {
	case p.From.Key == nil && p.descending: // those without a value came first
		return []string{key.sql + " is not null"}
	case p.From.Key == nil:
		return nil
	case key.unique:
		return []string{key.sql + p.beyond() + p.arg(*p.From.Key, key.kind)}
	}
	return []string{"(" + key.sql + ", " + part.table.row + ".id)" + p.beyond() +
		"(" + p.arg(*p.From.Key, key.kind) + ", " + p.arg(p.From.ID, "uuid") + ")"}
}

// unvalued are the rows without a value, likewise.
func (p *pager) unvalued(part compiledPart) []string {
	null := part.key.sql + " is null"
	switch {
	case p.From.Key == nil:
		return []string{null + " and " + p.beyondID(part)}
	case p.descending:
		return nil
	}
	return []string{null}
}

func (p *pager) beyondID(part compiledPart) string {
	return part.table.row + ".id" + p.beyond() + p.arg(p.From.ID, "uuid")
}

func (p *pager) beyond() string {
	if p.descending {
		return " < "
	}
	return " > "
}

// order is what rows are ordered by, of the relation with the given prefix.
func (p *pager) order(prefix string) string {
	direction := ""
	if p.descending {
		direction = " desc"
	}
	id := prefix + "id" + direction
	switch key := p.parts[0].key; {
	case key.sql == "":
		return id
	case key.unique && len(p.parts) == 1:
		return prefix + "key" + direction
	}
	return prefix + "key" + direction + ", " + id
}

// count selects how many resources there are in all.
func (p *pager) count() string {
	counts := make([]string, len(p.parts))
	for i, part := range p.parts {
		counts[i] = "(select count(*) from " + part.table.name + " " + part.table.row + " where " + part.where + ")"
	}
	return "select " + strings.Join(counts, " + ")
}

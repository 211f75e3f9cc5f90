package filter_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/muster-id/muster/internal/scim"
)

// The stock schemas have no numbers, no dates and no lists of plain values; a
// tenant's own may. trapeze has them all, at every depth.
var trapeze = &scim.ResourceType{Name: "User", Core: &scim.Schema{ID: scim.UserSchema, Attributes: []*scim.Attribute{
	{Name: "userName", Path: "userName"},
	{Name: "height", Path: "height", Type: scim.TypeInteger},
	{Name: "weight", Path: "weight", Type: scim.TypeDecimal},
	{Name: "since", Path: "since", Type: scim.TypeDateTime},
	{Name: "acts", Path: "acts", Multi: true},
	{Name: "scores", Path: "scores", Type: scim.TypeInteger, Multi: true},
	{Name: "rig", Path: "rig", Type: scim.TypeComplex, Sub: []*scim.Attribute{
		{Name: "height", Path: "rig.height", Type: scim.TypeDecimal},
		{Name: "checks", Path: "rig.checks", Type: scim.TypeDateTime, Multi: true},
	}},
	{Name: "shows", Path: "shows", Type: scim.TypeComplex, Multi: true, Sub: []*scim.Attribute{
		{Name: "at", Path: "shows.at", Type: scim.TypeDateTime},
		{Name: "seats", Path: "shows.seats", Type: scim.TypeInteger},
		{Name: "sold", Path: "shows.sold", Type: scim.TypeBoolean},
		{Name: "towns", Path: "shows.towns", CaseExact: true, Multi: true},
	}},
}}}

func TestPostgresComparesNumbersAndDatesAsMatchDoes(t *testing.T) {
	check(t, func(t *rapid.T, tx pgx.Tx) {
		d := drawTroupe(t, 4)
		d.enter(t, tx)
		for range 10 {
			d.agree(t, tx, trapeze, drawTrapezeFilter(t))
		}
	})
}

// drawTroupe draws n users of trapeze.
func drawTroupe(t *rapid.T, n int) (d directory) {
	for i := range n {
		u := &record{resource: drawTrapeze(t, trapeze.Core.Attributes), common: scim.Common{ID: userID(i), Base: base}}
		u.resource["userName"] = userID(i)
		d.users = append(d.users, u)
	}
	return d
}

// enter inserts a troupe.
func (d directory) enter(t rapid.TB, tx pgx.Tx) {
	b := &pgx.Batch{}
	for _, u := range d.users {
		b.Queue(`
			insert into users (tenant_id, connection_id, id, user_name_key, active, resource, search)
			values ($1, $2, $3, $4, false, '{}', $5)`,
			tenant, connection, u.common.ID, u.common.ID, string(scim.SearchJSON(nil, trapeze, u.resource)))
	}
	if err := tx.SendBatch(context.Background(), b).Close(); err != nil {
		t.Fatal(err)
	}
}

func drawTrapeze(t *rapid.T, attributes []*scim.Attribute) map[string]any {
	values := map[string]any{}
	for _, a := range attributes {
		switch present := rapid.IntRange(0, 3).Draw(t, a.Name); {
		case present == 0:
		case a.Multi:
			values[a.Name] = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) any { return drawTrapezeValue(t, a) }), 0, 3).Draw(t, "list")
		default:
			values[a.Name] = drawTrapezeValue(t, a)
		}
	}
	return values
}

func drawTrapezeValue(t *rapid.T, a *scim.Attribute) any {
	switch a.Type {
	case scim.TypeComplex:
		return drawTrapeze(t, a.Sub)
	case scim.TypeDateTime:
		layout := rapid.SampledFrom([]string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "yesterday"}).Draw(t, "layout")
		return drawTime(t).Format(layout)
	}
	return drawOperand(t, a)
}

func drawOperand(t *rapid.T, a *scim.Attribute) any {
	switch a.Type {
	case scim.TypeInteger:
		return rapid.OneOf(rapid.Int64Range(-2, 12), rapid.SampledFrom([]int64{1 << 53, 1<<53 + 1, 1<<63 - 1, -1 << 63})).Draw(t, "integer")
	case scim.TypeDecimal:
		return rapid.OneOf(rapid.SampledFrom([]float64{0, -0.5, 0.1, 1, 1.5, 2, 10, 1e21, 1e-7, 5e-324, 1.7976931348623157e308, 0.30000000000000004}),
			rapid.Float64()).Filter(func(x float64) bool { return x-x == 0 }).Draw(t, "decimal")
	case scim.TypeDateTime:
		return drawTime(t)
	case scim.TypeBoolean:
		return rapid.Bool().Draw(t, "boolean")
	}
	s := rapid.SampledFrom(words).Draw(t, "word")
	if !a.CaseExact {
		return scim.Fold(s)
	}
	return s
}

// drawTrapezeFilter draws a bound filter, which Bind would make of text if
// trapeze were a stock schema.
func drawTrapezeFilter(t *rapid.T) *scim.Filter {
	a := rapid.SampledFrom(trapeze.Core.Attributes[1:]).Draw(t, "attribute")
	ref := scim.Ref{Attr: a}
	if a.Type != scim.TypeComplex && a.Multi && rapid.Bool().Draw(t, "brackets") {
		return &scim.Filter{Op: scim.Has, Ref: ref, Path: scim.Path{Name: a.Name, Filter: drawComparison(t, ref)}}
	}
	if a.Type != scim.TypeComplex {
		return maybeNot(t, drawComparison(t, ref))
	}
	sub := scim.Ref{Attr: a, Sub: rapid.SampledFrom(a.Sub).Draw(t, "sub")}
	if rapid.Bool().Draw(t, "flat") {
		return maybeNot(t, drawComparison(t, sub))
	}
	other := scim.Ref{Attr: a, Sub: rapid.SampledFrom(a.Sub).Draw(t, "other")}
	both := &scim.Filter{Op: scim.And, Terms: []*scim.Filter{maybeNot(t, drawComparison(t, sub)), drawComparison(t, other)}}
	return maybeNot(t, &scim.Filter{Op: scim.Has, Ref: ref, Path: scim.Path{Name: a.Name, Filter: both}})
}

func maybeNot(t *rapid.T, f *scim.Filter) *scim.Filter {
	if rapid.Bool().Draw(t, "not") {
		return &scim.Filter{Op: scim.Not, Terms: []*scim.Filter{f}}
	}
	return f
}

func drawComparison(t *rapid.T, ref scim.Ref) *scim.Filter {
	a := ref.Last()
	ops := []scim.Op{scim.Pr, scim.Eq, scim.Ne, scim.Gt, scim.Ge, scim.Lt, scim.Le}
	switch a.Type {
	case scim.TypeBoolean:
		ops = ops[:3]
	case scim.TypeString:
		ops = append(ops, scim.Co, scim.Sw, scim.Ew)
	}
	f := &scim.Filter{Op: rapid.SampledFrom(ops).Draw(t, "op"), Path: scim.Path{Name: a.Path}, Ref: ref}
	if f.Op != scim.Pr {
		f.Operand = drawOperand(t, a)
	}
	return f
}

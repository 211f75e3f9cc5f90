package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/storetest"
)

// A model is what a tenant's test resources must be: by id, the identifier, which
// is unique in its type, and the value that is unique everywhere.
type model map[string]modelled

type modelled struct {
	rt                 *scim.ResourceType
	identifier, global string
}

// takes names what of one is another's already, "" for nothing.
func (m model) takes(id string, one modelled) string {
	for other, is := range m {
		switch {
		case other == id:
		case is.rt == one.rt && strings.EqualFold(is.identifier, one.identifier):
			return "identifier"
		}
	}
	for other, is := range m {
		if other != id && one.global != "" && strings.EqualFold(is.global, one.global) {
			return "uniqueglobalstring"
		}
	}
	return ""
}

func (one modelled) document() scim.Document {
	r := scim.Resource{"identifier": one.identifier, one.rt.Extensions[0].ID: map[string]any{"extRequired": "r"}}
	if one.global != "" {
		r["uniqueGlobalString"] = one.global
	}
	return scim.Document{Resource: r}
}

// Whatever is created, changed and deleted: unique values are so, what is given
// up is free, totals are right before and after they are folded, and nothing of
// what was refused stays.
func TestResourcesAreWhatWasAcknowledged(t *testing.T) {
	owner, server := storetest.Database(t)
	p := newTenant(t, storetest.Open(t, server), "ringling").connect("first", "lenient")
	p.declare()
	types := p.scim().ResourceTypes()[2:]
	is := model{}
	name := rapid.SampledFrom([]string{"a", "A", "b", "c"})
	rapid.Check(t, func(r *rapid.T) {
		draw := func(rt *scim.ResourceType) modelled {
			return modelled{rt, name.Draw(r, "identifier"), rapid.SampledFrom([]string{"", "", "x", "X", "y"}).Draw(r, "global")}
		}
		r.Repeat(map[string]func(*rapid.T){
			"create": func(r *rapid.T) {
				one := draw(rapid.SampledFrom(types).Draw(r, "type"))
				made, err := p.scim().CreateResource(t.Context(), one.rt, one.document())
				if agrees(r, err, is.takes("", one)) {
					is[made.ID.String()] = one
				}
			},
			"replace": func(r *rapid.T) {
				id := anyOf(r, is)
				one := draw(is[id].rt)
				_, _, err := p.scim().UpdateResource(t.Context(), store.ResourceKey{Type: one.rt, ID: id}, "",
					func(scim.Resource) (scim.Resource, []scim.Note, error) { return one.document().Resource, nil, nil })
				if agrees(r, err, is.takes(id, one)) {
					is[id] = one
				}
			},
			"delete": func(r *rapid.T) {
				id := anyOf(r, is)
				if err := p.scim().DeleteResource(t.Context(), store.ResourceKey{Type: is[id].rt, ID: id}, ""); err != nil {
					r.Fatal(err)
				}
				delete(is, id)
			},
			"": func(r *rapid.T) { checkListed(r, p, is) },
		})
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.store.Run(ctx) }()
	conn := storetest.Look(t, owner, "ringling")
	for !column[bool](t, conn, `select (select count(*) from change_numbers) = (select count(*) from changes)`)[0] {
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	checkListed(t, p, is)
	storetest.AuditOn(t, conn, storetest.Grants{Everyone: p.client + ".viewer"})
}

func anyOf(r *rapid.T, is model) string {
	if len(is) == 0 {
		r.Skip("there is nothing")
	}
	return rapid.SampledFrom(slices.Sorted(maps.Keys(is))).Draw(r, "id")
}

// agrees reports whether it was done, and fails unless that is as it must be.
func agrees(r *rapid.T, err error, taken string) (done bool) {
	var by *store.TakenError
	switch {
	case taken == "" && err == nil:
		return true
	case taken == "":
		r.Fatalf("got %v, want it done", err)
	case !errors.As(err, &by):
		r.Fatalf("got %v, want that %s is taken", err, taken)
	}
	return false
}

// checkListed compares what is listed, and counted, with the model.
func checkListed(t storetest.Reporter, p *stand, is model) {
	for _, rt := range p.scim().ResourceTypes()[2:] {
		want := map[string]bool{}
		for id, one := range is {
			if one.rt.Name == rt.Name {
				want[id] = true
			}
		}
		page, err := p.scim().List(context.Background(), store.Query{Types: []*scim.ResourceType{rt}, Count: 1000})
		if err != nil || page.Total != len(want) || len(page.Items) != len(want) {
			t.Fatalf("%s: got %d of %d, %v, want %d", rt.Name, len(page.Items), page.Total, err, len(want))
		}
		for _, item := range page.Items {
			if !want[item.ID.String()] {
				t.Errorf("%s: %s is listed", rt.Name, item.ID)
			}
		}
	}
}

// badgeSchema is an extension of User and of Group.
const badgeSchema = "urn:example:params:scim:schemas:extension:badge:2.0:User"

func (p *stand) declareBadge() {
	p.t.Helper()
	document := []byte(`{"id":"` + badgeSchema + `","attributes":[{"name":"badge","uniqueness":"global"}]}`)
	for _, extended := range []string{"User", "Group"} {
		must[store.Declared](p.t)(p.admin().DeclareSchema(p.t.Context(), document, extended))
	}
}

func withBadge(doc scim.Document, badge string) scim.Document {
	doc.Resource[badgeSchema] = map[string]any{"badge": badge}
	return doc
}

// Users and groups hold unique values like resources: who leaves gives them up,
// and comes back only if nobody else has them by now.
func TestPeopleAndGroupsHoldUniqueValues(t *testing.T) {
	owner, server := storetest.Database(t)
	p := newTenant(t, storetest.Open(t, server), "ringling").connect("first", "lenient")
	p.declareBadge()
	ctx := t.Context()
	taken := func(what string, err error) {
		t.Helper()
		var by *store.TakenError
		if !errors.As(err, &by) || by.Attribute != "badge" {
			t.Errorf("%s: got %v, want that the badge is taken", what, err)
		}
	}
	jamie, _, err := p.scim().CreateUser(ctx, withBadge(person("jamie@ringling.example", "jamie"), "B1"))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = p.scim().CreateUser(ctx, withBadge(person("robin@ringling.example", "robin"), "b1"))
	taken("another person", err)
	_, _, err = p.scim().CreateGroup(ctx, withBadge(group("Finance"), "B1"))
	taken("a group", err)
	finance, _, err := p.scim().CreateGroup(ctx, withBadge(group("Finance"), "B2"))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = p.scim().UpdateGroup(ctx, finance.ID.String(), "", store.GroupChange{Attributes: set(badgeSchema, map[string]any{"badge": "B1"})})
	taken("a group that changes", err)
	_, _, err = p.scim().UpdateUser(ctx, jamie.ID.String(), "", set(badgeSchema, map[string]any{"badge": "B2"}))
	taken("a person who changes", err)

	if err := p.scim().DeleteUser(ctx, jamie.ID.String(), ""); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.scim().UpdateGroup(ctx, finance.ID.String(), "", store.GroupChange{Attributes: set(badgeSchema, map[string]any{"badge": "B1"})}); err != nil {
		t.Fatalf("the badge of who has left: %v", err)
	}
	_, _, err = p.admin().RestoreUser(ctx, jamie.ID)
	taken("who comes back", err)
	if err := p.scim().DeleteGroup(ctx, finance.ID.String(), ""); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.admin().RestoreUser(ctx, jamie.ID); err != nil {
		t.Fatalf("coming back: %v", err)
	}
	_, _, err = p.scim().CreateGroup(ctx, withBadge(group("Audit"), "B1"))
	taken("once more", err)
	conn := storetest.Look(t, owner, "ringling")
	if n := column[int64](t, conn, `select count(*) from unique_values`)[0]; n != 1 {
		t.Errorf("%d values are held, want one", n)
	}

	column[int](t, conn, `with given as (update unique_values set resource_id = gen_random_uuid() returning 1) select count(*)::int from given`)
	if _, _, err := p.scim().UpdateUser(ctx, jamie.ID.String(), "", set(badgeSchema, map[string]any{"badge": "B3"})); err != nil {
		t.Fatal(err)
	}
	if n := column[int64](t, conn, `select count(*) from unique_values`)[0]; n != 2 {
		t.Errorf("%d values are held, want the new one, and that of another resource", n)
	}
}

// A write that was read by former schemas is refused, and changes nothing; so is
// the answer to a read. The Directory then has the new ones.
func TestWhatWasReadByFormerSchemasIsToBeReadAnew(t *testing.T) {
	_, server := storetest.Database(t)
	p := newTenant(t, storetest.Open(t, server), "ringling").connect("first", "lenient")
	elsewhere := *p
	elsewhere.store = storetest.Open(t, server)
	p.jamie = p.create("jamie")
	finance, _, err := p.scim().CreateGroup(t.Context(), group("Finance"))
	if err != nil {
		t.Fatal(err)
	}
	version := 0
	for what, do := range map[string]func(dir *store.Directory) error{
		"create a user": func(dir *store.Directory) error {
			_, _, err := dir.CreateUser(t.Context(), person("new", "new"))
			return err
		},
		"create a group": func(dir *store.Directory) error { _, _, err := dir.CreateGroup(t.Context(), group("New")); return err },
		"create a full group": func(dir *store.Directory) error {
			_, _, err := dir.CreateGroup(t.Context(), group("Newer", p.jamie))
			return err
		},
		"change a user": func(dir *store.Directory) error {
			_, _, err := dir.UpdateUser(t.Context(), p.jamie.ID.String(), "", set("title", "x"))
			return err
		},
		"change a group": func(dir *store.Directory) error {
			_, _, err := dir.UpdateGroup(t.Context(), finance.ID.String(), "", renamed("New name"))
			return err
		},
		"read": func(dir *store.Directory) error {
			_, err := dir.User(t.Context(), p.jamie.ID.String(), true)
			return err
		},
		"list": func(dir *store.Directory) error {
			_, err := dir.List(t.Context(), store.Query{Types: dir.ResourceTypes(), Count: 10})
			return err
		},
		"enter": func(dir *store.Directory) error { return dir.Enter(t.Context()) },
	} {
		version++
		former := p.scim()
		document := `{"id":"urn:example:scim:Later","attributes":[{"name":"a"}` + added(version) + `]}`
		must[store.Declared](t)(elsewhere.admin().DeclareSchema(t.Context(), []byte(document), "User"))
		if err := do(former); !errors.Is(err, store.ErrRedeclared) {
			t.Errorf("%s: got %v, want that it is to be read anew", what, err)
		}
		if ext := former.UserType().Extension("urn:example:scim:Later"); ext == nil || len(ext.Attributes) != version+1 {
			t.Errorf("%s: the Directory has not got the newest schema", what)
		}
		if err := do(former); err != nil {
			t.Errorf("%s, read anew: %v", what, err)
		}
	}
	if people := must[store.Page](t)(p.scim().List(t.Context(), store.Query{Types: []*scim.ResourceType{p.scim().UserType()}, Count: 10})); people.Total != 2 {
		t.Errorf("there are %d people, want jamie and the new one", people.Total)
	}
}

// added are attributes a1 … an.
func added(n int) string {
	var text string
	for i := range n {
		text += fmt.Sprintf(`,{"name":"a%d"}`, i+1)
	}
	return text
}

// Of two admins who declare at once, one is told to look again.
func TestTwoDeclarationsAtOnce(t *testing.T) {
	_, server := storetest.Database(t)
	p := newTenant(t, storetest.Open(t, server), "ringling").connect("first", "lenient")
	const n = 8
	errs := make(chan error, n)
	for i := range n {
		go func() {
			_, err := p.admin().DeclareSchema(t.Context(), fmt.Appendf(nil, `{"id":"urn:example:scim:S%d","attributes":[{"name":"x"}]}`, i), "User")
			errs <- err
		}()
	}
	declared := 0
	for range n {
		switch err := <-errs; {
		case err == nil:
			declared++
		case !strings.Contains(err.Error(), "changed while this was checked"):
			t.Error(err)
		}
	}
	all := must[[]store.Declared](t)(p.admin().Schemas(t.Context()))
	types := must[[]store.Declared](t)(p.admin().DeclaredTypes(t.Context()))
	if declared == 0 || len(all) != declared || len(types) != declared || len(p.scim().UserType().Extensions) != 1+declared {
		t.Errorf("%d were declared; there are %d schemas and %d versions of User with %d extensions",
			declared, len(all), len(types), len(p.scim().UserType().Extensions))
	}
}

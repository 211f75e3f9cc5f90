package store_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
	past "github.com/muster-id/muster/internal/store/history"
	"github.com/muster-id/muster/internal/store/registry"
)

// A crossing is one method of a Directory called by mine about what is theirs:
// another connection's or another tenant's. It answers what is wrong about it.
type crossing func(t *testing.T, mine, theirs *stand)

// notFound calls do in every way in which mine can be a Directory: as the SCIM
// client, and as an admin who looks at this connection.
func notFound(do func(dir *store.Directory, theirs *stand) error) crossing {
	return func(t *testing.T, mine, theirs *stand) {
		t.Helper()
		for who, dir := range map[string]*store.Directory{"the SCIM client": mine.scim(), "a narrowed admin": mine.narrow()} {
			if err := do(dir, theirs); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: got %v, want not found", who, err)
			}
		}
		if mine.tenant == theirs.tenant {
			return
		}
		if err := do(mine.admin(), theirs); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an admin of the tenant: got %v, want not found", err)
		}
	}
}

// crossings has a case for every exported method of a Directory.
var crossings = map[string]crossing{
	"User": notFound(func(dir *store.Directory, theirs *stand) error {
		_, err := dir.User(theirs.t.Context(), theirs.jamie.ID.String(), true)
		return err
	}),
	"UpdateUser": notFound(func(dir *store.Directory, theirs *stand) error {
		_, _, err := dir.UpdateUser(theirs.t.Context(), theirs.jamie.ID.String(), "", set("displayName", "taken over"))
		return err
	}),
	"DeleteUser": notFound(func(dir *store.Directory, theirs *stand) error {
		return dir.DeleteUser(theirs.t.Context(), theirs.jamie.ID.String(), "")
	}),
	"LockUser": notFound(func(dir *store.Directory, theirs *stand) error {
		_, _, err := dir.LockUser(theirs.t.Context(), theirs.jamie.ID, true)
		return err
	}),
	"RestoreUser": notFound(func(dir *store.Directory, theirs *stand) error {
		_, _, err := dir.RestoreUser(theirs.t.Context(), theirs.robin.ID)
		return err
	}),
	"FindUser": notFound(func(dir *store.Directory, theirs *stand) error {
		_, err := dir.FindUser(theirs.t.Context(), theirs.jamie.ID.String())
		return err
	}),
	"Explain": notFound(func(dir *store.Directory, theirs *stand) error {
		_, err := dir.Explain(theirs.t.Context(), theirs.jamie.ID.String())
		return err
	}),
	"Group": notFound(func(dir *store.Directory, theirs *stand) error {
		_, err := dir.Group(theirs.t.Context(), theirs.finance.ID.String(), true)
		return err
	}),
	"UpdateGroup": notFound(func(dir *store.Directory, theirs *stand) error {
		id := theirs.finance.ID.String()
		_, _, err := dir.UpdateGroup(theirs.t.Context(), id, "", renamed("taken over"))
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		_, _, err = dir.UpdateGroup(theirs.t.Context(), id, "", store.GroupChange{Members: members(scim.RemoveMembers, theirs.jamie)})
		return err
	}),
	"DeleteGroup": notFound(func(dir *store.Directory, theirs *stand) error {
		return dir.DeleteGroup(theirs.t.Context(), theirs.finance.ID.String(), "*")
	}),
	"Resource": notFound(func(dir *store.Directory, theirs *stand) error {
		_, err := dir.Resource(theirs.t.Context(), theirs.badgeKey(dir))
		return err
	}),
	"UpdateResource": notFound(func(dir *store.Directory, theirs *stand) error {
		_, _, err := dir.UpdateResource(theirs.t.Context(), theirs.badgeKey(dir), "", set("identifier", "taken over"))
		return err
	}),
	"DeleteResource": notFound(func(dir *store.Directory, theirs *stand) error {
		return dir.DeleteResource(theirs.t.Context(), theirs.badgeKey(dir), "")
	}),
	"WithConnection": func(t *testing.T, mine, theirs *stand) {
		if _, err := mine.admin().WithConnection(theirs.id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("got %v, want not found", err)
		}
	},

	"List": func(t *testing.T, mine, theirs *stand) {
		for _, q := range []store.Query{
			asking(t, mine.scim().UserType(), 10, `id eq "`+theirs.jamie.ID.String()+`"`),
			asking(t, mine.scim().UserType(), 10, `groups.value eq "`+theirs.finance.ID.String()+`"`),
			asking(t, mine.scim().GroupType(), 10, `id eq "`+theirs.finance.ID.String()+`"`),
			asking(t, mine.scim().GroupType(), 10, `members.value eq "`+theirs.jamie.ID.String()+`"`),
			asking(t, mine.testType(), 10, `id eq "`+theirs.badge.ID.String()+`"`),
			asking(t, mine.testType(), 10, `identifier eq "nobody's"`),
		} {
			page, err := mine.scim().List(t.Context(), q)
			if err != nil || page.Total != 0 || len(page.Items) != 0 {
				t.Errorf("%s: got %d %v, want nobody", q.Filters[0], page.Total, err)
			}
		}
		found := map[uuid.UUID]store.Found{}
		page, err := mine.scim().List(t.Context(), store.Query{Types: mine.scim().ResourceTypes(), Count: 10, WithGroups: true, WithMembers: true})
		for _, f := range page.Items {
			found[f.ID] = f
		}
		groups, members := found[mine.jamie.ID].Groups, found[mine.finance.ID].Members
		if err != nil || page.Total != 3 || len(found) != 3 || found[mine.badge.ID].Type != mine.testType() ||
			len(groups) != 1 || groups[0].ID != mine.finance.ID || len(members) != 1 || members[0].ID != mine.jamie.ID {
			t.Errorf("all: got %+v %v, want the one person here in the one group here, and the one badge", page, err)
		}
		page, err = mine.scim().List(t.Context(), asking(t, mine.testType(), 10, `identifier eq "JAMIE'S"`))
		if err != nil || page.Total != 1 || len(page.Items) != 1 || page.Items[0].ID != mine.badge.ID {
			t.Errorf("a badge: got %+v %v, want the one here", page, err)
		}
	},
	"CreateResource": func(t *testing.T, mine, theirs *stand) {
		identifier := uuid.NewString()
		var made []store.ResourceKey
		for _, p := range []*stand{mine, theirs} { // unique here, whoever has it there
			r := must[store.Resource](t)(p.scim().CreateResource(t.Context(), p.testType(), badge(identifier)))
			made = append(made, store.ResourceKey{Type: p.testType(), ID: r.ID.String()})
		}
		var taken *store.TakenError
		if _, err := mine.scim().CreateResource(t.Context(), mine.testType(), badge(identifier)); !errors.As(err, &taken) || taken.Attribute != "identifier" {
			t.Errorf("here again: got %v, want that the identifier is taken", err)
		}
		for i, p := range []*stand{mine, theirs} {
			if err := p.scim().DeleteResource(t.Context(), made[i], ""); err != nil {
				t.Error(err)
			}
		}
	},

	// Names are free here whatever is taken there, and nobody there comes back.
	"CreateUser": newcomer(func(dir *store.Directory, doc scim.Document) (store.User, bool, error) {
		return dir.CreateUser(context.Background(), doc)
	}),
	"CreateNewUser": newcomer(func(dir *store.Directory, doc scim.Document) (store.User, bool, error) {
		u, err := dir.CreateNewUser(context.Background(), doc)
		return u, true, err
	}),
	"CreateGroup": func(t *testing.T, mine, theirs *stand) {
		doc := group(uuid.NewString(), theirs.jamie)
		doc.Members = append(doc.Members, scim.Member{Value: theirs.finance.ID.String()})
		g, notes, err := mine.scim().CreateGroup(t.Context(), doc)
		if mine.profile == "strict" {
			var wire *scim.Error
			if !errors.As(err, &wire) || wire.Status != 400 {
				t.Errorf("strict: got %v, want 400", err)
			}
			return
		}
		if err != nil || len(notes) != 2 {
			t.Fatalf("lenient: got %v %v, want two members noted as unknown", notes, err)
		}
		got, err := mine.scim().Group(t.Context(), g.ID.String(), true)
		if err != nil || len(got.Members) != 0 {
			t.Errorf("members of another: %v %v", got.Members, err)
		}
		if err := mine.scim().DeleteGroup(t.Context(), g.ID.String(), ""); err != nil {
			t.Fatal(err)
		}
	},

	// The token of one opens nothing at the other's address.
	"Enter": func(t *testing.T, mine, theirs *stand) {
		if err := mine.scim().Enter(t.Context()); err != nil {
			t.Errorf("at home: %v", err)
		}
		if mine.tenant == theirs.tenant {
			return
		}
		if _, err := mine.store.SCIM(t.Context(), theirs.slug, mine.token, mine.request()); !errors.Is(err, store.ErrUnauthenticated) {
			t.Errorf("at another tenant's address: got %v, want not authenticated", err)
		}
	},
	"Tenant": func(t *testing.T, mine, _ *stand) {
		if got := mine.scim().Tenant(); got != mine.slug {
			t.Errorf("got %s, want %s", got, mine.slug)
		}
	},
	"Profile": func(t *testing.T, mine, _ *stand) {
		if got := string(mine.scim().Profile()); got != mine.profile {
			t.Errorf("got %s, want %s", got, mine.profile)
		}
	},

	// Schemas are the tenant's.
	"UserType":      servesOnlyItsOwn,
	"GroupType":     servesOnlyItsOwn,
	"ResourceTypes": servesOnlyItsOwn,

	"DeclareSchema": func(t *testing.T, mine, theirs *stand) {
		before := must[[]store.Declared](t)(theirs.admin().Schemas(t.Context()))
		document := []byte(`{"id":"urn:example:` + uuid.NewString() + `","attributes":[{"name":"x"}]}`)
		d := must[store.Declared](t)(mine.admin().DeclareSchema(t.Context(), document, ""))
		if after := must[[]store.Declared](t)(theirs.admin().Schemas(t.Context())); mine.tenant != theirs.tenant && len(after) != len(before) {
			t.Errorf("%s was declared there too", d.Name)
		}
	},
	"RegisterResourceType": func(t *testing.T, mine, theirs *stand) {
		before := must[[]store.Declared](t)(theirs.admin().DeclaredTypes(t.Context()))
		name := "T" + strings.ReplaceAll(uuid.NewString(), "-", "")
		document := []byte(`{"name":"` + name + `","endpoint":"/` + name + `","schema":"` + mine.testType().Core.ID + `"}`)
		must[store.Declared](t)(mine.admin().RegisterResourceType(t.Context(), document))
		if after := must[[]store.Declared](t)(theirs.admin().DeclaredTypes(t.Context())); mine.tenant != theirs.tenant && len(after) != len(before) {
			t.Errorf("%s was registered there too", name)
		}
	},
	"Schemas":       ofOneTenant((*store.Directory).Schemas),
	"DeclaredTypes": ofOneTenant((*store.Directory).DeclaredTypes),

	// Rules are the tenant's: what another publishes moves nothing here.
	"Rules": func(t *testing.T, mine, theirs *stand) {
		here, err := mine.scim().Rules(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		there, err := theirs.scim().Rules(t.Context())
		if err != nil || (here.Source == there.Source) != (mine.tenant == theirs.tenant) {
			t.Errorf("the rules of %s and %s: %v", mine.slug, theirs.slug, err)
		}
	},
	"PublishRules": func(t *testing.T, mine, theirs *stand) {
		before, err := theirs.admin().Rules(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, issues, err := mine.admin().PublishRules(t.Context(), mine.rules()); err != nil {
			t.Fatal(err, issues)
		}
		after, err := theirs.admin().Rules(t.Context())
		if mine.tenant != theirs.tenant && (err != nil || after != before) {
			t.Errorf("the rules there went from %d to %d: %v", before.Version, after.Version, err)
		}
		if mine.tenant != theirs.tenant {
			if _, _, err := mine.admin().PublishRules(t.Context(), theirs.rules()); err == nil {
				t.Error("rules that grant another tenant's roles were published")
			}
		}
	},
	"Part": notFound(func(dir *store.Directory, theirs *stand) error {
		_, err := dir.Part(theirs.request()).User(theirs.t.Context(), theirs.jamie.ID.String(), true)
		return err
	}),
	"Record": func(t *testing.T, mine, theirs *stand) {
		if mine.scim().Record() == theirs.scim().Record() {
			t.Error("two requests share a record")
		}
	},
	"Noted": func(t *testing.T, mine, theirs *stand) {
		r := mine.request()
		dir := mine.scimFor(r)
		dir.Noted([]scim.Note{{Quirk: "Q26", Path: "filter", Reason: "a bare word"}})
		dir.Answered(200, "", "")
		if err := mine.store.FlushRequests(t.Context()); err != nil {
			t.Fatal(err)
		}
		if rows := keptRequests(t, mine, r.ID); len(rows) != 1 || !strings.Contains(rows[0].Notes, "Q26") {
			t.Errorf("the tenant's log holds %+v, want the note", rows)
		}
		if rows := keptRequests(t, theirs, r.ID); mine.tenant != theirs.tenant && len(rows) != 0 {
			t.Errorf("the other tenant's log holds %+v", rows)
		}
	},
	"History": func(t *testing.T, mine, theirs *stand) {
		r := theirs.request()
		dir := theirs.scimFor(r)
		dir.Answered(404, "", "")
		if err := theirs.store.FlushRequests(t.Context()); err != nil {
			t.Fatal(err)
		}
		for who, dir := range map[string]*store.Directory{"the SCIM client": mine.scim(), "a narrowed admin": mine.narrow()} {
			if one, err := dir.History().Request(t.Context(), r.ID); !errors.Is(err, past.ErrNotFound) {
				t.Errorf("%s: got %+v %v, want not found", who, one, err)
			}
			all, err := dir.History().Requests(t.Context(), past.Query{Limit: 1000})
			for _, one := range all {
				if one.Connection != mine.name || one.ID == r.ID {
					t.Errorf("%s: sees %+v", who, one)
				}
			}
			findings, n, err2 := dir.History().Diagnose(t.Context(), past.Consultation{})
			for _, f := range findings {
				if f.Connection != mine.name {
					t.Errorf("%s: finds %+v", who, f)
				}
			}
			if err != nil || err2 != nil || n != len(all) {
				t.Errorf("%s: %v %v, looked at %d of %d", who, err, err2, n, len(all))
			}
		}
		if _, err := mine.admin().History().Request(t.Context(), r.ID); (mine.tenant == theirs.tenant) != (err == nil) {
			t.Errorf("an admin of %s about a request of %s: %v", mine.slug, theirs.slug, err)
		}
	},
	"Answered": func(t *testing.T, mine, theirs *stand) {
		r := mine.request()
		mine.scimFor(r).Answered(404, "", "no resource has this id")
		if err := mine.store.FlushRequests(t.Context()); err != nil {
			t.Fatal(err)
		}
		if rows := keptRequests(t, mine, r.ID); len(rows) != 1 || rows[0].Connection != mine.id {
			t.Errorf("the tenant's log holds %+v, want the request once", rows)
		}
		if rows := keptRequests(t, theirs, r.ID); mine.tenant != theirs.tenant && len(rows) != 0 {
			t.Errorf("the other tenant's log holds %+v", rows)
		}
	},
	"Held": func(t *testing.T, mine, theirs *stand) {
		if err := mine.scim().Enter(t.Context()); err != nil || !mine.scim().Held() {
			t.Errorf("a credential that holds does not count: %v", err)
		}
	},
	"Refused": func(t *testing.T, mine, theirs *stand) {
		if err := theirs.scim().Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		mine.scim().Refused()
		if mine.scim().Held() || !theirs.scim().Held() {
			t.Error("another's credential was taken for one that does not hold")
		}
	},
	"ReadOnly": func(t *testing.T, mine, theirs *stand) {
		if mine.scim().ReadOnly() || mine.admin().ReadOnly() {
			t.Error("a credential that may write only reads")
		}
	},
	"MayWrite": func(t *testing.T, mine, theirs *stand) {
		token, _, err := theirs.vendor.CreateToken(t.Context(), theirs.slug, theirs.name, registry.NewToken{Name: "people", Writes: []string{"User"}})
		if err != nil {
			t.Fatal(err)
		}
		dir, err := theirs.store.SCIM(t.Context(), theirs.slug, token, store.Request{ID: uuid.New()})
		if err != nil {
			t.Fatal(err)
		}
		if !dir.MayWrite(scim.UserType()) || dir.MayWrite(scim.GroupType()) {
			t.Error("a token that may change users may not, or may change groups")
		}
		if !mine.scim().MayWrite(scim.GroupType()) {
			t.Error("another's token took a right away")
		}
	},
	"Rate": func(t *testing.T, mine, theirs *stand) {
		if _, err := theirs.vendor.SetRate(t.Context(), theirs.slug, 7); err != nil {
			t.Fatal(err)
		}
		err := mine.store.ReadRates(t.Context())
		if got := mine.scim().Rate(); err != nil || mine.tenant != theirs.tenant && got == 7 {
			t.Errorf("the rate of %s is %d, which is that of %s: %v", mine.slug, got, theirs.slug, err)
		}
		if _, err := theirs.vendor.SetRate(t.Context(), theirs.slug, 0); err != nil {
			t.Fatal(err)
		}
	},
	"InShare": func(t *testing.T, mine, theirs *stand) {
		dir := mine.scim()
		if err := dir.Enter(dir.InShare(t.Context())); err != nil {
			t.Errorf("in the tenant's share: %v", err)
		}
	},
	"CheckRules": func(t *testing.T, mine, theirs *stand) {
		program, issues, err := mine.admin().CheckRules(t.Context(), theirs.rules())
		if err != nil || mine.tenant != theirs.tenant && program != nil {
			t.Errorf("rules that grant another tenant's roles: %v %v", issues, err)
		}
	},
}

// badgeKey names the resource here as dir would.
func (p *stand) badgeKey(dir *store.Directory) store.ResourceKey {
	return store.ResourceKey{Type: dir.ResourceTypes()[2], ID: p.badge.ID.String()}
}

// ofOneTenant: what a tenant has declared is listed to it and to no other.
func ofOneTenant(list func(*store.Directory, context.Context) ([]store.Declared, error)) crossing {
	return func(t *testing.T, mine, _ *stand) {
		all := must[[]store.Declared](t)(list(mine.scim(), t.Context()))
		if len(all) < 2 {
			t.Errorf("got %v, want what the tenant has declared", all)
		}
		for i := 1; i < len(all); i++ {
			if all[i].Name == all[i-1].Name && all[i].Version >= all[i-1].Version {
				t.Errorf("%s is listed twice: another tenant's?", all[i].Name)
			}
		}
	}
}

// servesOnlyItsOwn: two tenants have one resource type only where it is the stock one.
func servesOnlyItsOwn(t *testing.T, mine, theirs *stand) {
	types, stock := mine.scim().ResourceTypes(), scim.ResourceTypes()
	if mine.scim().UserType() != types[0] || mine.scim().GroupType() != types[1] {
		t.Error("the types of users and groups are not the first of the tenant's resource types")
	}
	for _, rt := range types {
		if mine.tenant != theirs.tenant && slices.Contains(theirs.scim().ResourceTypes(), rt) && !slices.Contains(stock, rt) {
			t.Errorf("%s and %s share the resource type %s", mine.slug, theirs.slug, rt.Name)
		}
	}
}

// To whoever calls, what another connection or tenant has is what nobody has,
// by every method of a Directory; and nothing of it is changed.
func TestAnothersIdLooksLikeNoId(t *testing.T) {
	f := newFair(t).live()
	methods := reflect.TypeFor[*store.Directory]()
	for i := range methods.NumMethod() {
		if name := methods.Method(i).Name; crossings[name] == nil {
			t.Errorf("no case crosses from one tenant to another by %s: add one", name)
		}
	}
	for name, cross := range crossings {
		if _, ok := methods.MethodByName(name); !ok {
			t.Errorf("there is no method %s", name)
		}
		t.Run(name, func(t *testing.T) {
			mine := f.stands["ringling"]
			for _, p := range mine {
				for _, other := range f.foreign(p) {
					cross(t, p, other)
				}
			}
		})
	}
	for slug, stands := range f.stands {
		for _, p := range stands {
			u, err := p.scim().User(t.Context(), p.jamie.ID.String(), true)
			if err != nil || u.Version != p.jamie.Version || u.Locked || len(u.Groups) != 1 {
				t.Errorf("%s/%s: the person was changed: %+v %v", slug, p.name, u, err)
			}
			if _, err := p.scim().User(t.Context(), p.robin.ID.String(), false); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s/%s: the person who was deleted: %v", slug, p.name, err)
			}
			g, err := p.scim().Group(t.Context(), p.finance.ID.String(), true)
			if err != nil || g.Name != "Finance" || len(g.Members) != 1 {
				t.Errorf("%s/%s: the group was changed: %+v %v", slug, p.name, g, err)
			}
		}
	}
}

// A check by way of another tenant finds nobody, and an application that does
// not serve the tenant is nobody itself.
func TestAnothersPersonIsNotChecked(t *testing.T) {
	f := newFair(t).live()
	mine, theirs := f.stands["ringling"][0], f.stands["cirque"][0]
	d, err := mine.check(theirs.jamie.ID.String())
	nobody, _ := mine.check(uuid.NewString())
	d.Position, nobody.Position = "", ""
	if err != nil || !reflect.DeepEqual(d, nobody) || d.Reason != store.NotProvisioned {
		t.Errorf("got %+v %v, want what is said of nobody: %+v", d, err, nobody)
	}
	crossed := store.CheckRequest{Tenant: theirs.slug, ClientID: mine.client, Secret: mine.secret, UserID: theirs.jamie.ID.String()}
	if _, err := f.store.Check(t.Context(), crossed); !errors.Is(err, store.ErrUnauthenticated) {
		t.Errorf("an application of another tenant: got %v, want not authenticated", err)
	}
	stolen := theirs.redemption(theirs.signIn("jamie"))
	stolen.ClientID, stolen.Secret = mine.client, mine.secret
	if _, _, err := f.store.MintToken(t.Context(), stolen); !errors.Is(err, store.ErrInvalidGrant) {
		t.Errorf("another application's code: got %v, want an invalid grant", err)
	}
}

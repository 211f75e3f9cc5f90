package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/rolemap"
	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store/log"
)

// A Declared is one version of a schema or of a resource type that a tenant has
// declared: immutable once it stands. The newest version counts.
type Declared struct {
	Name     string          `json:"name"` // URN of a schema, name of a resource type
	Version  int64           `json:"version"`
	Actor    string          `json:"actor"`
	At       time.Time       `json:"declared"`
	Document json.RawMessage `json:"document"` // RFC 7643 §6 or §7, every characteristic written out
}

// A vocabulary is what a tenant has declared, each in its newest version. It
// never changes.
type vocabulary struct {
	versions int64 // of everything: another number means another vocabulary
	schemas  []version[scim.Declaration]
	types    []version[scim.TypeDeclaration]
}

type version[T json.Marshaler] struct {
	number int64
	is     T
}

// resourceTypes makes the tenant's resource types.
func (v vocabulary) resourceTypes() ([]*scim.ResourceType, error) {
	if v.versions == 0 {
		return scim.ResourceTypes(), nil
	}
	var schemas []scim.Declaration
	for _, s := range v.schemas {
		schemas = append(schemas, s.is)
	}
	var types []scim.TypeDeclaration
	for _, t := range v.types {
		types = append(types, t.is)
	}
	return scim.TenantTypes(schemas, types)
}

// declare returns v with the next version of a schema; v itself where the newest
// one says the same.
func (v vocabulary) declare(d scim.Declaration) (vocabulary, error) {
	for i, old := range v.schemas {
		if !strings.EqualFold(old.is.ID, d.ID) { // a URN is ASCII
			continue
		}
		if string(old.is.JSON()) == string(d.JSON()) {
			return v, nil
		}
		v.schemas, v.versions = slices.Clone(v.schemas), v.versions+1
		v.schemas[i] = version[scim.Declaration]{old.number + 1, d}
		return v, d.Succeeds(old.is)
	}
	v.schemas, v.versions = append(slices.Clip(v.schemas), version[scim.Declaration]{1, d}), v.versions+1
	return v, nil
}

// register is declare for a resource type.
func (v vocabulary) register(t scim.TypeDeclaration) (vocabulary, error) {
	for i, old := range v.types {
		if old.is.Name != t.Name {
			continue
		}
		if string(old.is.JSON()) == string(t.JSON()) {
			return v, nil
		}
		v.types, v.versions = slices.Clone(v.types), v.versions+1
		v.types[i] = version[scim.TypeDeclaration]{old.number + 1, t}
		return v, t.Succeeds(old.is)
	}
	v.types, v.versions = append(slices.Clip(v.types), version[scim.TypeDeclaration]{1, t}), v.versions+1
	return v, nil
}

// extend registers the resource type of that name with one more extension.
func (v vocabulary) extend(name, urn string) (vocabulary, error) {
	t, found := scim.StockType(name)
	for _, registered := range v.types {
		if registered.is.Name == name {
			t, found = registered.is, true
		}
	}
	if !found {
		return v, badArgument("the tenant has no resource type %s", name)
	}
	return v.register(t.Extended(urn))
}

// DeclareSchema makes a document of RFC 7643 §7 the newest version of the
// tenant's schema with that URN, and with extends an extension of the resource
// type of that name. From the commit on every request is read by it. A version
// that would make stored values invalid is refused, and one that published
// rules do not compile with. Where the newest version says the same, nothing is
// written.
func (dir *Directory) DeclareSchema(ctx context.Context, document []byte, extends string) (Declared, error) {
	d, err := scim.ParseSchema(document)
	if err != nil {
		return Declared{}, argument(err)
	}
	err = dir.amend(ctx, func(v vocabulary) (vocabulary, error) {
		next, err := v.declare(d)
		if err == nil && extends != "" {
			next, err = next.extend(extends, d.ID)
		}
		return next, err
	})
	if err != nil {
		return Declared{}, err
	}
	return dir.newest(ctx, dir.Schemas, func(name string) bool { return strings.EqualFold(name, d.ID) })
}

// RegisterResourceType makes a document of RFC 7643 §6 the newest version of the
// tenant's resource type of that name, as DeclareSchema does. Of User and Group
// it may add extensions, which are optional.
func (dir *Directory) RegisterResourceType(ctx context.Context, document []byte) (Declared, error) {
	t, err := scim.ParseResourceType(document)
	if err != nil {
		return Declared{}, argument(err)
	}
	if err := dir.amend(ctx, func(v vocabulary) (vocabulary, error) { return v.register(t) }); err != nil {
		return Declared{}, err
	}
	return dir.newest(ctx, dir.DeclaredTypes, func(name string) bool { return name == t.Name })
}

// newest finds the newest version of what is so called.
func (dir *Directory) newest(ctx context.Context, list func(context.Context) ([]Declared, error), called func(string) bool) (Declared, error) {
	all, err := list(ctx)
	if i := slices.IndexFunc(all, func(d Declared) bool { return called(d.Name) }); i >= 0 && err == nil {
		return all[i], nil
	}
	return Declared{}, err
}

// Schemas answers every version of every schema that the tenant has declared, by
// URN, the newest first.
func (dir *Directory) Schemas(ctx context.Context) ([]Declared, error) {
	return dir.declared(ctx, func(b *pgx.Batch) *pgx.QueuedQuery {
		return b.Queue(`
			select urn, version, actor, declared_at, document
			from tenant_schemas
			where tenant_id = $1
			order by urn, version desc`, dir.tenant)
	})
}

// DeclaredTypes is Schemas for resource types, by name.
func (dir *Directory) DeclaredTypes(ctx context.Context) ([]Declared, error) {
	return dir.declared(ctx, func(b *pgx.Batch) *pgx.QueuedQuery {
		return b.Queue(`
			select name, version, actor, registered_at, document
			from resource_types
			where tenant_id = $1
			order by name, version desc`, dir.tenant)
	})
}

func (dir *Directory) declared(ctx context.Context, queue func(*pgx.Batch) *pgx.QueuedQuery) (all []Declared, err error) {
	b := &pgx.Batch{}
	dir.enter(b)
	queue(b).Query(func(rows pgx.Rows) error {
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (d Declared, err error) {
			return d, row.Scan(&d.Name, &d.Version, &d.Actor, &d.At, &d.Document)
		})
		return err
	})
	return all, dir.read(ctx, b)
}

// amend changes the tenant's vocabulary: alone, after every change that was read
// by the one of before.
func (dir *Directory) amend(ctx context.Context, change func(vocabulary) (vocabulary, error)) error {
	if err := dir.loadSettings(ctx, true); err != nil {
		return err
	}
	old := dir.settings.vocabulary
	next, err := change(old)
	if err == nil && next.versions != old.versions {
		err = dir.settings.fits(next)
	}
	if err != nil || next.versions == old.versions {
		return argument(err)
	}
	err = dir.store.transact(ctx, func(tx *transaction) error {
		err := tx.open(func(b *pgx.Batch) { dir.enterAlone(b) })
		if err != nil {
			return err
		}
		return tx.commit(func(b *pgx.Batch) { dir.queueVocabulary(b, old, next) })
	})
	if state(err) == stateOtherRules {
		return badArgument("the tenant's schemas, rules or roles changed while this was checked: look at them and declare it again")
	}
	if err != nil {
		return err
	}
	dir.store.woke(dir.tenant)
	return dir.loadSettings(ctx, true)
}

// fits refuses a vocabulary that contradicts itself, or with which the published
// rules could no longer be read.
func (set *settings) fits(next vocabulary) error {
	types, err := next.resourceTypes()
	if err == nil {
		err = (&settings{}).understand(next.text(), nil) // as every server will
	}
	if err != nil || set.program == nil {
		return err
	}
	rules, _ := rolemap.Parse([]byte(set.source))
	_, issues := rolemap.Compile(rules, types[0], set.catalogue)
	if err := firstError(issues); err != nil {
		return badArgument("the published rules do not compile with it, and would grant nothing: %v", err)
	}
	return nil
}

// queueVocabulary writes what next has and old has not.
func (dir *Directory) queueVocabulary(b *pgx.Batch, old, next vocabulary) {
	for i, s := range next.schemas {
		if i < len(old.schemas) && old.schemas[i].number == s.number {
			continue
		}
		b.Queue(`insert into tenant_schemas (tenant_id, urn, version, document, actor) values ($1, $2, $3, $4, $5)`,
			dir.tenant, s.is.ID, s.number, string(s.is.JSON()), dir.actor)
		dir.queueDeclaration(b, "schema.declared", s.number, s.is.ID)
	}
	for i, t := range next.types {
		if i < len(old.types) && old.types[i].number == t.number {
			continue
		}
		b.Queue(`insert into resource_types (tenant_id, name, version, document, actor) values ($1, $2, $3, $4, $5)`,
			dir.tenant, t.is.Name, t.number, string(t.is.JSON()), dir.actor)
		dir.queueDeclaration(b, "resource_type.registered", t.number, t.is.Name)
	}
	b.Queue(`update tenants set derivation = derivation + 1 where id = $1`, dir.tenant)
}

func (dir *Directory) queueDeclaration(b *pgx.Batch, kind string, number int64, name string) {
	change := dir.change(dir.connection, dir.tenant, kind, number, marshal(map[string]any{"name": name, "version": number}))
	if change.Request == uuid.Nil {
		change.Request = newID()
	}
	log.Queue(b, change)
}

// argument makes a refusal in SCIM's words one for an admin.
func argument(err error) error {
	var refused *scim.Error
	if errors.As(err, &refused) {
		return badArgument("%s", refused.Detail)
	}
	return err
}

// A declaredText is a vocabulary as it is read.
type declaredText struct {
	count                       int64
	schemas, types              []string
	schemaVersions, typeNumbers []int64
}

// columns read the newest versions for the tenants row t. Resource types have the
// order in which they were registered first.
const vocabularyColumns = `
	(select count(*) from tenant_schemas s where s.tenant_id = t.id) + (select count(*) from resource_types r where r.tenant_id = t.id),
	array(select s.document from tenant_schemas s where s.tenant_id = t.id and not exists (select from tenant_schemas n
		where n.tenant_id = t.id and n.urn = s.urn and n.version > s.version) order by s.urn),
	array(select s.version from tenant_schemas s where s.tenant_id = t.id and not exists (select from tenant_schemas n
		where n.tenant_id = t.id and n.urn = s.urn and n.version > s.version) order by s.urn),
	array(select r.document from resource_types r join resource_types f on f.tenant_id = t.id and f.name = r.name and f.version = 1
		where r.tenant_id = t.id and not exists (select from resource_types n
		where n.tenant_id = t.id and n.name = r.name and n.version > r.version) order by f.registered_at, r.name),
	array(select r.version from resource_types r join resource_types f on f.tenant_id = t.id and f.name = r.name and f.version = 1
		where r.tenant_id = t.id and not exists (select from resource_types n
		where n.tenant_id = t.id and n.name = r.name and n.version > r.version) order by f.registered_at, r.name)`

func (d *declaredText) targets() []any {
	return []any{&d.count, &d.schemas, &d.schemaVersions, &d.types, &d.typeNumbers}
}

// text is the vocabulary as it will be read.
func (v vocabulary) text() (d declaredText) {
	d.count = v.versions
	for _, s := range v.schemas {
		d.schemas, d.schemaVersions = append(d.schemas, string(s.is.JSON())), append(d.schemaVersions, s.number)
	}
	for _, t := range v.types {
		d.types, d.typeNumbers = append(d.types, string(t.is.JSON())), append(d.typeNumbers, t.number)
	}
	return d
}

// understand gives the settings the tenant's vocabulary. old may know it already:
// then the resource types stay the same objects.
func (set *settings) understand(d declaredText, old *settings) (err error) {
	if old != nil && old.vocabulary.versions == d.count {
		set.vocabulary, set.types = old.vocabulary, old.types
		return nil
	}
	set.vocabulary.versions = d.count
	for i, document := range d.schemas {
		declaration, err := scim.ParseSchema([]byte(document))
		if err != nil {
			return fmt.Errorf("a declared schema cannot be read: %w", err)
		}
		set.vocabulary.schemas = append(set.vocabulary.schemas, version[scim.Declaration]{d.schemaVersions[i], declaration})
	}
	for i, document := range d.types {
		t, err := scim.ParseResourceType([]byte(document))
		if err != nil {
			return fmt.Errorf("a registered resource type cannot be read: %w", err)
		}
		set.vocabulary.types = append(set.vocabulary.types, version[scim.TypeDeclaration]{d.typeNumbers[i], t})
	}
	if set.types, err = set.vocabulary.resourceTypes(); err != nil {
		return fmt.Errorf("the tenant's resource types cannot be made: %w", err)
	}
	return nil
}

package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store/log"
)

// A Resource is a stored resource of a type that the tenant has registered. It
// gives nobody roles, is in no group, and nobody signs in as one.
type Resource struct {
	ID         uuid.UUID
	Connection uuid.UUID
	Type       string
	ExternalID string
	Created    time.Time
	Modified   time.Time
	Version    int64
	JSON       []byte // the attributes, as scim.AppendJSON writes them
}

// A ResourceKey says which resource of which registered type is meant.
type ResourceKey struct {
	Type *scim.ResourceType
	ID   string
}

const resourceColumns = `r.id, r.connection_id, r.resource_type, coalesce(r.external_id, ''), r.created_at, r.modified_at, r.version, r.resource`

func (r *Resource) targets() []any {
	return []any{&r.ID, &r.Connection, &r.Type, &r.ExternalID, &r.Created, &r.Modified, &r.Version, &r.JSON}
}

// Resource reads a living resource, in one round trip.
func (dir *Directory) Resource(ctx context.Context, key ResourceKey) (Resource, error) {
	id, err := parseID(key.ID)
	if err != nil {
		return Resource{}, dir.refuse(ctx, err)
	}
	var r Resource
	b := &pgx.Batch{}
	dir.enter(b)
	b.Queue(`select `+resourceColumns+` from resources r
		where r.tenant_id = $1 and r.id = $2 and `+dir.within("r.connection_id", "$3")+` and r.resource_type = $4 and r.deleted_at is null`,
		dir.tenant, id, dir.narrowed(), key.Type.Name).QueryRow(func(row pgx.Row) error { return row.Scan(r.targets()...) })
	err = dir.read(ctx, b)
	if errors.Is(err, pgx.ErrNoRows) {
		return Resource{}, ErrNotFound
	}
	return r, err
}

// CreateResource adds a resource of a registered type, in one round trip.
func (dir *Directory) CreateResource(ctx context.Context, rt *scim.ResourceType, doc scim.Document) (Resource, error) {
	if dir.connection == uuid.Nil {
		return Resource{}, errWhose
	}
	r := Resource{ID: newID(), Connection: dir.connection, Type: rt.Name, Version: 1, JSON: scim.AppendJSON(nil, rt, doc.Resource)}
	r.ExternalID, _ = doc.Resource["externalId"].(string)
	err := dir.retryRules(ctx, func() error {
		return dir.store.write(ctx, func() *pgx.Batch { return dir.insertResource(&r, rt, doc) })
	})
	if err = dir.resolve(ctx, err); err != nil {
		return Resource{}, err
	}
	dir.count(doc.Notes)
	dir.store.woke(dir.tenant)
	if r.Created.IsZero() { // the commit was found by its request id; what it answered is lost
		return dir.Resource(ctx, ResourceKey{rt, r.ID.String()})
	}
	return r, nil
}

func (dir *Directory) insertResource(r *Resource, rt *scim.ResourceType, doc scim.Document) *pgx.Batch {
	b := &pgx.Batch{}
	dir.enterCurrent(b)
	b.Queue(`
		insert into resources (tenant_id, connection_id, id, resource_type, external_id, resource, search)
		values ($1, $2, $3, $4, nullif($5, ''), $6, $7) returning created_at`,
		dir.tenant, r.Connection, r.ID, r.Type, r.ExternalID, string(r.JSON), string(scim.SearchJSON(nil, rt, doc.Resource))).
		QueryRow(func(row pgx.Row) error {
			err := row.Scan(&r.Created)
			r.Modified = r.Created
			return err
		})
	dir.queueClaims(b, claimant{r.Connection, r.ID}, nil, rt.Claims(doc.Resource))
	w := &log.Write{Change: dir.change(r.Connection, r.ID, resourceChange(rt, "created"), 1, r.JSON)}
	dir.queueWrite(b, w, 201, doc.Notes, nil)
	return b
}

// resourceChange names what happened to a resource of a registered type:
// "resource.Device.created".
func resourceChange(rt *scim.ResourceType, what string) string {
	return "resource." + rt.Name + "." + what
}

// UpdateResource replaces a resource by what change makes of it, in one
// transaction of two round trips. changed is false where nothing differs; then
// nothing is written.
func (dir *Directory) UpdateResource(ctx context.Context, key ResourceKey, ifMatch string,
	change func(scim.Resource) (scim.Resource, []scim.Note, error)) (r Resource, changed bool, err error) {
	return dir.changeResource(ctx, resourceEdit{key: key, ifMatch: ifMatch, what: "updated", status: 200, change: change})
}

// DeleteResource leaves a tombstone. To SCIM the resource is gone, and what it
// held of unique values is free.
func (dir *Directory) DeleteResource(ctx context.Context, key ResourceKey, ifMatch string) error {
	_, _, err := dir.changeResource(ctx, resourceEdit{key: key, ifMatch: ifMatch, what: "deleted", status: 204})
	return err
}

// A resourceEdit is one change to one resource.
type resourceEdit struct {
	key     ResourceKey
	ifMatch string
	what    string
	status  int16
	change  func(scim.Resource) (scim.Resource, []scim.Note, error) // nil: it is deleted
}

// changeResource is the one way in which a resource of a registered type changes.
func (dir *Directory) changeResource(ctx context.Context, e resourceEdit) (r Resource, changed bool, err error) {
	id, err := parseID(e.key.ID)
	if err != nil {
		return Resource{}, false, dir.refuse(ctx, err)
	}
	err = dir.retryRules(ctx, func() error {
		return dir.store.transact(ctx, func(tx *transaction) error {
			r, changed, err = dir.tryResource(tx, id, e)
			return err
		})
	})
	if err = dir.resolve(ctx, err); err != nil {
		return Resource{}, false, err
	}
	if changed {
		dir.store.woke(dir.tenant)
	}
	return r, changed, nil
}

func (dir *Directory) tryResource(tx *transaction, id uuid.UUID, e resourceEdit) (r Resource, changed bool, err error) {
	rt := e.key.Type
	var now time.Time
	if r, now, err = dir.lockResource(tx, id, rt); err != nil {
		return r, false, err
	}
	if !matches(e.ifMatch, r.Version) {
		return r, false, ErrStale
	}
	old, err := scim.ParseStored(rt, r.JSON)
	if err != nil {
		return r, false, err
	}
	c := changedResource{resource: &r, rt: rt, old: old}
	text := []byte("{}") // of what is deleted nothing stays
	if e.change != nil {
		if c.next, c.notes, err = e.change(old); err != nil {
			return r, false, err
		}
		text = scim.AppendJSON(nil, rt, c.next)
	}
	if c.differences, err = scim.Differences(r.JSON, text); err != nil {
		return r, false, err
	}
	if e.change != nil {
		if len(c.differences) == 0 {
			dir.unchanged(c.notes)
			return r, false, nil
		}
		r.ExternalID, _ = c.next["externalId"].(string)
		r.JSON = text
	}
	r.Version++
	r.Modified = now
	err = tx.commit(func(b *pgx.Batch) { dir.saveResource(b, c, e) })
	dir.count(c.notes)
	return r, true, err
}

// lockResource is the first trip.
func (dir *Directory) lockResource(tx *transaction, id uuid.UUID, rt *scim.ResourceType) (r Resource, now time.Time, err error) {
	err = tx.open(func(b *pgx.Batch) {
		dir.enterCurrent(b)
		b.Queue(`select `+resourceColumns+`, now() from resources r
			where r.tenant_id = $1 and r.id = $2 and `+dir.within("r.connection_id", "$3")+` and r.resource_type = $4 and r.deleted_at is null
			for no key update`, dir.tenant, id, dir.narrowed(), rt.Name).
			QueryRow(func(row pgx.Row) error { return row.Scan(append(r.targets(), &now)...) })
	})
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	return r, now, err
}

// A changedResource is a resource under lock and what becomes of it.
type changedResource struct {
	resource  *Resource // as it will be
	rt        *scim.ResourceType
	old, next scim.Resource // next nil: it is deleted

	differences []scim.Difference
	notes       []scim.Note
}

func (dir *Directory) saveResource(b *pgx.Batch, c changedResource, e resourceEdit) {
	r := c.resource
	if c.next == nil {
		b.Queue(`update resources set deleted_at = now(), modified_at = now(), version = $3 where tenant_id = $1 and id = $2`,
			dir.tenant, r.ID, r.Version)
	} else {
		b.Queue(`
			update resources set external_id = nullif($3, ''), version = $4, modified_at = now(), resource = $5, search = $6
			where tenant_id = $1 and id = $2`,
			dir.tenant, r.ID, r.ExternalID, r.Version, string(r.JSON), string(scim.SearchJSON(nil, c.rt, c.next)))
	}
	dir.queueClaims(b, claimant{r.Connection, r.ID}, c.rt.Claims(c.old), c.rt.Claims(c.next))
	w := &log.Write{Change: dir.change(r.Connection, r.ID, resourceChange(c.rt, e.what), r.Version, scim.AppendDifferences(nil, c.differences))}
	dir.queueWrite(b, w, e.status, c.notes, nil)
}

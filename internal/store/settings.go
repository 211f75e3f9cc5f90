package store

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/rolemap"
	"github.com/muster-id/muster/internal/scim"
)

// settings are what a tenant's derivation counter stands for: its resource types,
// its rules, the roles it may grant and how its connections are read. They never change; a
// new counter has new settings.
type settings struct {
	derivation  int64
	vocabulary  vocabulary
	types       []*scim.ResourceType // User, Group, then the tenant's own
	version     int64                // of the rule set; 0: none published
	source      string
	program     *rolemap.Program // nil: none published, or not readable
	fault       error            // why a published rule set cannot be read
	catalogue   rolemap.Catalogue
	connections map[uuid.UUID]connectionSettings
	counted     map[uuid.UUID]bool  // connections whose groups count
	failed      func(rolemap.Fault) // reports a rule that could not tell
}

type connectionSettings struct {
	name    string
	profile scim.Profile
}

func (set *settings) userType() *scim.ResourceType  { return set.types[0] }
func (set *settings) groupType() *scim.ResourceType { return set.types[1] }

func (set *settings) knows(connection uuid.UUID) bool {
	_, ok := set.connections[connection]
	return ok
}

// settingsCache keeps the newest settings of the tenants in use.
type settingsCache struct {
	mu       sync.RWMutex
	byTenant map[uuid.UUID]*settings
}

// maxCachedTenants bounds what is kept; a tenant beyond it evicts another.
const maxCachedTenants = 4096

func (c *settingsCache) load(tenant uuid.UUID) *settings {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.byTenant[tenant]
}

func (c *settingsCache) forget(tenant uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byTenant, tenant)
}

func (c *settingsCache) store(tenant uuid.UUID, s *settings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byTenant == nil {
		c.byTenant = map[uuid.UUID]*settings{}
	}
	if old := c.byTenant[tenant]; old != nil && old.derivation > s.derivation {
		return
	}
	if len(c.byTenant) >= maxCachedTenants {
		for evicted := range c.byTenant {
			delete(c.byTenant, evicted)
			break
		}
	}
	c.byTenant[tenant] = s
}

// loadSettings gives the Directory its tenant's settings: those in memory, or
// with fresh those of the database. Whether they are current is verified by
// the transaction that uses them.
func (dir *Directory) loadSettings(ctx context.Context, fresh bool) error {
	if !fresh {
		if dir.settings = dir.store.settings.load(dir.tenant); dir.settings != nil {
			return nil
		}
	}
	found, err := dir.store.readSettings(ctx, dir.tenant)
	if err != nil {
		return err
	}
	dir.settings = found
	dir.store.settings.store(dir.tenant, found)
	return nil
}

// readSettings reads all in one statement, so that it is of one snapshot.
func (s *Store) readSettings(ctx context.Context, tenant uuid.UUID) (*settings, error) {
	var (
		set               = &settings{connections: map[uuid.UUID]connectionSettings{}, counted: map[uuid.UUID]bool{}}
		slug              string
		source            *string
		roles, privileged []string
		ids               []uuid.UUID
		names, profiles   []string
		declared          declaredText
	)
	set.failed = func(f rolemap.Fault) { s.ruleFailed(tenant, set.version, f) }
	b := &pgx.Batch{}
	nameTenant(b, tenant.String(), everyConnection)
	b.Queue(`
		select t.derivation, coalesce(t.rule_set, 0), t.slug, (select source from rule_sets r where r.tenant_id = t.id and r.version = t.rule_set),
			array(select r.name from tenant_roles tr join roles r on r.name = tr.role where tr.tenant_id = t.id order by 1),
			array(select r.name from tenant_roles tr join roles r on r.name = tr.role where tr.tenant_id = t.id and r.privileged order by 1),
			array(select c.id from connections c where c.tenant_id = t.id order by c.created_at, c.id),
			array(select c.name from connections c where c.tenant_id = t.id order by c.created_at, c.id),
			array(select c.profile from connections c where c.tenant_id = t.id order by c.created_at, c.id), `+vocabularyColumns+`
		from tenants t where t.id = $1`, tenant).QueryRow(func(row pgx.Row) error {
		return row.Scan(append([]any{&set.derivation, &set.version, &slug, &source, &roles, &privileged, &ids, &names, &profiles}, declared.targets()...)...)
	})
	if err := s.read(ctx, b); err != nil {
		return nil, err
	}
	if err := set.understand(declared, s.settings.load(tenant)); err != nil {
		return nil, err
	}
	for i, id := range ids {
		set.connections[id] = connectionSettings{name: names[i], profile: scim.Profile(profiles[i])}
	}
	set.catalogue = rolemap.Catalogue{
		Tenant: slug, Allowed: setOf(roles), Privileged: setOf(privileged), ConnectionNames: names,
	}
	if source != nil {
		set.source = *source
		set.compile(ids)
	}
	return set, nil
}

// compile makes the published source a program. A set that was published
// compiled then; where it does not now (a role was taken from the tenant), no
// rule of it grants anything and every decision says so.
func (set *settings) compile(ids []uuid.UUID) {
	rules, issues := rolemap.Parse([]byte(set.source))
	if err := firstError(issues); err != nil {
		set.fault = err
		return
	}
	program, issues := rolemap.Compile(rules, set.userType(), set.catalogue)
	if err := firstError(issues); err != nil {
		set.fault = err
		return
	}
	set.program = program
	for _, id := range ids {
		for _, name := range program.Connections() {
			set.counted[id] = set.counted[id] || set.connections[id].name == name
		}
	}
}

func firstError(issues []rolemap.Issue) error {
	for _, issue := range issues {
		if issue.Severity == rolemap.SeverityError {
			return fmt.Errorf("rule set: line %d: %s", issue.Line, issue.Message)
		}
	}
	return nil
}

func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// connectionName is the name of a connection of the tenant, by its id as text.
func (set *settings) connectionName(id string) string {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return ""
	}
	return set.connections[parsed].name
}

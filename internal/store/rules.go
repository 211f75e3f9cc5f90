package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/rolemap"
	"github.com/muster-id/muster/internal/store/log"
)

// A RuleSetVersion is a published rule set: immutable once it stands.
type RuleSetVersion struct {
	Version   int64     `json:"version"`
	Actor     string    `json:"actor"`
	Published time.Time `json:"published"`
	Source    string    `json:"source"`
}

// CheckRules compiles a rule set for this tenant and runs its own tests,
// without publishing it. Issues of severity error mean that it would be refused.
func (dir *Directory) CheckRules(ctx context.Context, source []byte) (*rolemap.Program, []rolemap.Issue, error) {
	known, err := dir.groupNames(ctx)
	if err != nil {
		return nil, nil, err
	}
	rules, issues := rolemap.Parse(source)
	if firstError(issues) != nil {
		return nil, issues, nil
	}
	catalogue := dir.settings.catalogue
	catalogue.KnownGroups = func(name string) bool { return known[keyOf(name)] }
	program, more := rolemap.Compile(rules, dir.UserType(), catalogue)
	issues = append(issues, more...)
	if firstError(issues) != nil {
		return nil, issues, nil
	}
	return program, append(issues, program.RunTests(ctx)...), nil
}

// groupNames are the keys of the names of all living groups.
func (dir *Directory) groupNames(ctx context.Context) (map[string]bool, error) {
	known := map[string]bool{}
	b := &pgx.Batch{}
	dir.enter(b)
	b.Queue(`select display_name_key from groups where tenant_id = $1 and deleted_at is null`, dir.tenant).Query(func(rows pgx.Rows) error {
		var name string
		_, err := pgx.ForEachRow(rows, []any{&name}, func() error {
			known[name] = true
			return nil
		})
		return err
	})
	return known, dir.read(ctx, b)
}

// A RulesError says why a rule set is not published.
type RulesError struct{ Issues []rolemap.Issue }

func (e *RulesError) Error() string { return firstError(e.Issues).Error() }

// PublishRules makes source the tenant's rules. From the commit on no reader
// returns a role that was derived before it, whatever the tenant's size; the
// assignments are rewritten in the background.
func (dir *Directory) PublishRules(ctx context.Context, source []byte) (RuleSetVersion, []rolemap.Issue, error) {
	if err := dir.loadSettings(ctx, true); err != nil {
		return RuleSetVersion{}, nil, err
	}
	_, issues, err := dir.CheckRules(ctx, source)
	if err != nil {
		return RuleSetVersion{}, nil, err
	}
	if firstError(issues) != nil {
		return RuleSetVersion{}, issues, &RulesError{Issues: issues}
	}
	v := RuleSetVersion{Actor: dir.actor, Source: string(source)}
	err = dir.store.transact(ctx, func(tx *transaction) error {
		err := tx.open(func(b *pgx.Batch) {
			dir.enterAlone(b)
			b.Queue(`select coalesce(max(version), 0) + 1 from rule_sets where tenant_id = $1`, dir.tenant).
				QueryRow(func(row pgx.Row) error { return row.Scan(&v.Version) })
		})
		if err != nil {
			return err
		}
		return tx.commit(func(b *pgx.Batch) { dir.queuePublish(b, &v) })
	})
	if state(err) == stateOtherRules {
		return RuleSetVersion{}, issues, badArgument("the tenant's rules or roles changed while this was checked: look at them and publish again")
	}
	if err != nil {
		return RuleSetVersion{}, issues, err
	}
	dir.store.woke(dir.tenant)
	return v, issues, dir.loadSettings(ctx, true)
}

func (dir *Directory) queuePublish(b *pgx.Batch, v *RuleSetVersion) {
	b.Queue(`insert into rule_sets (tenant_id, version, source, actor) values ($1, $2, $3, $4) returning published_at`,
		dir.tenant, v.Version, v.Source, v.Actor).QueryRow(func(row pgx.Row) error { return row.Scan(&v.Published) })
	b.Queue(`update tenants set rule_set = $2, derivation = derivation + 1 where id = $1`, dir.tenant, v.Version)
	change := dir.change(dir.connection, dir.tenant, "rules.published", v.Version, marshal(map[string]any{"version": v.Version}))
	if change.Request == uuid.Nil {
		change.Request = newID()
	}
	log.Queue(b, change)
}

// Rules answers the published rule set.
func (dir *Directory) Rules(ctx context.Context) (RuleSetVersion, error) {
	var v RuleSetVersion
	b := &pgx.Batch{}
	dir.enter(b)
	b.Queue(`
		select r.version, r.actor, r.published_at, r.source
		from tenants t join rule_sets r on r.tenant_id = t.id and r.version = t.rule_set
		where t.id = $1`, dir.tenant).QueryRow(func(row pgx.Row) error {
		return row.Scan(&v.Version, &v.Actor, &v.Published, &v.Source)
	})
	err := dir.read(ctx, b)
	if errors.Is(err, pgx.ErrNoRows) {
		return RuleSetVersion{}, ErrNotFound
	}
	return v, err
}

// An Assignment is a role that a person holds, and its cause.
type Assignment struct {
	Role    string    `json:"role"`
	Scope   string    `json:"scope,omitempty"`
	Rule    string    `json:"rule"`
	RuleSet int64     `json:"rule_set"`
	Facts   rawJSON   `json:"facts"`
	Since   time.Time `json:"since,omitzero"` // zero: not written yet
}

// An Explained says what a person holds and why, and why not what they do not.
type Explained struct {
	User        User
	Assignments []Assignment
	Explanation rolemap.Explanation
	Program     bool // whether a readable rule set is published at all
	RuleSet     int64
}

// Explain evaluates the tenant's rules for one person as they stand now.
func (dir *Directory) Explain(ctx context.Context, ref string) (Explained, error) {
	u, err := dir.FindUser(ctx, ref)
	if err != nil {
		return Explained{}, err
	}
	if err := dir.loadSettings(ctx, true); err != nil {
		return Explained{}, err
	}
	p := &person{}
	since := map[assignment]time.Time{}
	b := &pgx.Batch{}
	dir.enter(b)
	b.Queue(`select `+personColumns+` from users u where u.tenant_id = $1 and u.id = $2`, dir.tenant, u.ID).QueryRow(p.reads(dir.UserType()))
	queueGroups(b, circle{tenant: dir.tenant, users: []uuid.UUID{u.ID}}, func(_ uuid.UUID, g rolemap.Group, direct bool) { p.join(g, direct) })
	dir.queueSince(b, u, since)
	if err := dir.read(ctx, b); err != nil {
		return Explained{}, err
	}
	e := Explained{User: u, RuleSet: dir.settings.version, Program: dir.settings.program != nil}
	for _, a := range dir.settings.derive(ctx, p).wanted {
		e.Assignments = append(e.Assignments, Assignment{
			Role: a.Role, Scope: a.Scope, Rule: a.Rule, RuleSet: a.RuleSet, Facts: rawJSON(a.Facts), Since: since[a],
		})
	}
	if e.Program {
		e.Explanation = dir.settings.program.Explain(ctx, dir.settings.view(p), date(p.now))
		switch {
		case p.deleted:
			e.Explanation.Void("deleted")
		case p.locked:
			e.Explanation.Void("locked")
		}
	}
	return e, nil
}

func (dir *Directory) queueSince(b *pgx.Batch, u User, since map[assignment]time.Time) {
	b.Queue(`
		select a.role, a.scope, a.rule, a.rule_set, a.facts, c.at
		from assignments a join changes c on c.tenant_id = a.tenant_id and c.xid = a.from_xid and c.n = a.from_change
		where a.tenant_id = $1 and a.user_id = $2 and a.until_change is null`, dir.tenant, u.ID).Query(func(rows pgx.Rows) error {
		var a assignment
		var at time.Time
		_, err := pgx.ForEachRow(rows, []any{&a.Role, &a.Scope, &a.Rule, &a.RuleSet, &a.Facts, &at}, func() error {
			since[a] = at
			return nil
		})
		return err
	})
}

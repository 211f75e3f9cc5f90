package store

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/rolemap"
	"github.com/muster-id/muster/internal/store/history"
)

// History reads what the Directory's clients asked, and what is wrong with it.
func (dir *Directory) History() *history.Reader {
	return history.New(history.Kernel{
		Tenant: dir.tenant, Slug: dir.slug, Connection: dir.narrowed(),
		Read: func(ctx context.Context, queue func(*pgx.Batch)) error {
			b := &pgx.Batch{}
			dir.enter(b)
			queue(b)
			return dir.store.read(ctx, b)
		},
		Rules: dir.rulesNow,
	})
}

// rulesNow says what the published rules name, and for whom they fail.
func (dir *Directory) rulesNow(ctx context.Context) (history.Rules, error) {
	if err := dir.loadSettings(ctx, true); err != nil {
		return history.Rules{}, err
	}
	set := dir.settings
	now := history.Rules{Version: set.version}
	for id := range set.counted {
		if set.counted[id] {
			now.Connections = append(now.Connections, id)
		}
	}
	slices.SortFunc(now.Connections, compareIDs)
	if set.fault != nil {
		now.Fault = set.fault.Error()
	}
	if set.program == nil {
		return now, nil
	}
	v, err := dir.Rules(ctx)
	if errors.Is(err, ErrNotFound) { // of this moment
		return now, nil
	}
	if err == nil {
		now.Groups = dir.groupsNamed([]byte(v.Source))
		now.Failing, err = dir.failingRules(ctx)
	}
	return now, err
}

// groupsNamed lists the names of groups in a rule set, each once.
func (dir *Directory) groupsNamed(source []byte) []string {
	rules, issues := rolemap.Parse(source)
	if firstError(issues) != nil {
		return nil
	}
	var names []string
	catalogue := dir.settings.catalogue
	catalogue.KnownGroups = func(name string) bool {
		names = append(names, name)
		return true
	}
	rolemap.Compile(rules, dir.UserType(), catalogue)
	slices.Sort(names)
	return slices.Compact(names)
}

// sample is how many people the rules are tried on: the newest.
const sample = 200

// failingRules tries the rules on some people and says which fail for whom. A
// rule that reads what somebody does not have is no mistake of its author.
func (dir *Directory) failingRules(ctx context.Context) ([]history.FailingRule, error) {
	people, err := dir.someone(ctx)
	if err != nil {
		return nil, err
	}
	type failure struct{ rule, message string }
	failed := map[failure]int{}
	for _, p := range people {
		for _, f := range dir.settings.program.Derive(ctx, dir.settings.view(p), date(p.now)).Faults {
			if !f.Absent {
				failed[failure{f.Rule, f.Message}]++
			}
		}
	}
	var failing []history.FailingRule
	for _, f := range slices.SortedFunc(maps.Keys(failed), func(a, b failure) int {
		return cmp.Or(cmp.Compare(a.rule, b.rule), cmp.Compare(a.message, b.message))
	}) {
		failing = append(failing, history.FailingRule{Rule: f.rule, Message: f.message, People: failed[f], Of: len(people)})
	}
	return failing, ctx.Err()
}

// someone reads the newest people who may hold roles, with their groups.
func (dir *Directory) someone(ctx context.Context) (map[uuid.UUID]*person, error) {
	c := &groupChange{dir: dir, people: map[uuid.UUID]*person{}}
	b := &pgx.Batch{}
	dir.enter(b)
	b.Queue(`select `+personColumns+` from users u
		where u.tenant_id = $1 and `+dir.within("u.connection_id", "$2")+` and u.deleted_at is null and u.active and not u.locked
		order by u.id desc limit $3`, dir.tenant, dir.narrowed(), sample).Query(c.collectPeople)
	if err := dir.store.read(ctx, b); err != nil {
		return nil, err
	}
	b = &pgx.Batch{}
	dir.enter(b)
	queueGroups(b, circle{tenant: dir.tenant, users: slices.Collect(maps.Keys(c.people))}, c.addGroup)
	return c.people, dir.store.read(ctx, b)
}

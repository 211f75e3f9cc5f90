package idpsim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
)

// maxFailures is how many failures of single objects a push reports in full.
const maxFailures = 20

// Push brings the service provider to the state of the directory, as the first cycle of a
// provisioning job and every later one do: test the connection, users, managers, groups,
// memberships. Users and groups that are there already are found by name and changed. An
// object that fails does not stop the others; the error joins all failures. progress, if
// not nil, is called from several goroutines.
func (idp *IdP) Push(ctx context.Context, progress func(Event)) error {
	idp.mu.Lock()
	idp.progress = progress
	idp.mu.Unlock()
	if err := idp.Test(ctx); err != nil {
		return err
	}
	if idp.options.Persona == Okta {
		if _, err := idp.Import(ctx); err != nil {
			return err
		}
	}
	directory := idp.Directory()
	return errors.Join(
		idp.pushUsers(ctx, directory.People),
		idp.pushManagers(ctx, directory.People),
		idp.pushGroups(ctx, directory.Groups),
		idp.pushMemberships(ctx, directory.Groups),
	)
}

// Test sends the requests of the persona's "Test Connection" button.
func (idp *IdP) Test(ctx context.Context) error {
	for i, probe := range idp.dialect.probes() {
		var answer list[heldGroup]
		if _, err := idp.do(ctx, probe, &answer); err != nil {
			return fmt.Errorf("test connection: %w", err)
		}
		idp.report(Event{"test", probe.path, i + 1, len(idp.dialect.probes())})
	}
	return nil
}

// Import reads all users page by page, as Okta does, and returns how many there are.
func (idp *IdP) Import(ctx context.Context) (int, error) {
	for read := 0; ; {
		var page list[heldUser]
		path := fmt.Sprintf("/Users?startIndex=%d&count=%d", read+1, oktaPage)
		if _, err := idp.do(ctx, call{http.MethodGet, path, nil}, &page); err != nil {
			return read, fmt.Errorf("import: %w", err)
		}
		read += len(page.Resources)
		idp.report(Event{"import", "users", read, page.TotalResults})
		if read >= page.TotalResults || len(page.Resources) == 0 {
			return read, nil
		}
	}
}

func (idp *IdP) pushUsers(ctx context.Context, people []Person) error {
	var done atomic.Int64
	return idp.each(ctx, len(people), func(i int) error {
		action, err := idp.pushUser(ctx, people[i])
		if action != "" {
			idp.report(Event{action, people[i].DisplayName(), int(done.Add(1)), len(people)})
		}
		return err
	})
}

// pushUser finds p at the service provider and changes what differs, or creates p. People
// who are not assigned are never created. It says which of these it did.
func (idp *IdP) pushUser(ctx context.Context, p Person) (action string, err error) {
	held, found, err := idp.findUser(ctx, p)
	if err != nil || !found && p.Inactive {
		return "", err
	}
	if found {
		return idp.changeUser(ctx, held, p)
	}
	repeated, err := idp.do(ctx, idp.dialect.createUser(p, idp.managerOf(p)), &held)
	if hasStatus(err, http.StatusConflict) && repeated {
		return "create", idp.findCreated(ctx, p)
	}
	if err == nil && held.ID == "" {
		err = errors.New("create user: the answer has no id")
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", p.UserName, err)
	}
	idp.remember(p.Nickname, held)
	return "create", nil
}

// findCreated links p after a creation whose first answer was lost.
func (idp *IdP) findCreated(ctx context.Context, p Person) error {
	_, found, err := idp.findUser(ctx, p)
	if err == nil && !found {
		err = fmt.Errorf("%s: in conflict, yet not found", p.UserName)
	}
	return err
}

func (idp *IdP) changeUser(ctx context.Context, held heldUser, p Person) (action string, err error) {
	calls := idp.dialect.changeUser(held, p, idp.managerOf(p))
	if len(calls) == 0 {
		return "link", nil
	}
	return "update", idp.send(ctx, calls...)
}

// findUser looks p up and remembers the link. Okta reads the user again by its id.
func (idp *IdP) findUser(ctx context.Context, p Person) (heldUser, bool, error) {
	var answer list[heldUser]
	if _, err := idp.do(ctx, idp.dialect.findUser(p), &answer); err != nil {
		return heldUser{}, false, fmt.Errorf("%s: %w", p.UserName, err)
	}
	switch len(answer.Resources) {
	case 0:
		return heldUser{}, false, nil
	case 1:
	default:
		return heldUser{}, false, fmt.Errorf("%s: %d users match", p.UserName, len(answer.Resources))
	}
	held := answer.Resources[0]
	if idp.options.Persona == Okta {
		var whole heldUser
		if _, err := idp.do(ctx, call{http.MethodGet, userPath(held.ID), nil}, &whole); err != nil {
			return heldUser{}, false, err
		}
		held = whole
	}
	idp.remember(p.Nickname, held)
	return held, true, nil
}

// pushManagers names managers once everybody is there.
func (idp *IdP) pushManagers(ctx context.Context, people []Person) error {
	return idp.each(ctx, len(people), func(i int) error {
		user, known := idp.link(people[i].Nickname)
		boss, bossKnown := idp.link(people[i].Manager)
		if !known || !bossKnown || user.manager == boss.id {
			return nil
		}
		calls := idp.dialect.setManager(user.id, boss.id)
		if len(calls) == 0 {
			return nil
		}
		idp.report(Event{Action: "manager", Subject: people[i].DisplayName()})
		return idp.send(ctx, calls...)
	})
}

func (idp *IdP) pushGroups(ctx context.Context, groups []Group) error {
	var done atomic.Int64
	return idp.each(ctx, len(groups), func(i int) error {
		if _, err := idp.pushGroup(ctx, groups[i]); err != nil {
			return fmt.Errorf("group %s: %w", groups[i].Name, err)
		}
		idp.report(Event{"group", groups[i].Name, int(done.Add(1)), len(groups)})
		return nil
	})
}

// pushGroup finds g by name or creates it, empty, and returns its id.
func (idp *IdP) pushGroup(ctx context.Context, g Group) (string, error) {
	id, err := idp.findGroup(ctx, g)
	if err != nil || id != "" {
		return id, err
	}
	var held heldGroup
	repeated, err := idp.do(ctx, idp.dialect.createGroup(g), &held)
	if hasStatus(err, http.StatusConflict) && repeated {
		return idp.findGroup(ctx, g)
	}
	if err != nil {
		return "", err
	}
	idp.rememberGroup(g, held.ID)
	return held.ID, nil
}

func (idp *IdP) findGroup(ctx context.Context, g Group) (string, error) {
	var answer list[heldGroup]
	if _, err := idp.do(ctx, idp.dialect.findGroup(g), &answer); err != nil {
		return "", err
	}
	if len(answer.Resources) == 0 {
		return "", nil
	}
	if len(answer.Resources) > 1 {
		return "", fmt.Errorf("%d groups match", len(answer.Resources))
	}
	idp.rememberGroup(g, answer.Resources[0].ID)
	return answer.Resources[0].ID, nil
}

func (idp *IdP) rememberGroup(g Group, id string) {
	idp.mu.Lock()
	defer idp.mu.Unlock()
	idp.groups[g.ID] = id
}

// pushMemberships adds all members, in parallel also within one group, and again if they
// are members already: both originals do.
func (idp *IdP) pushMemberships(ctx context.Context, groups []Group) error {
	type batch struct {
		group   heldGroup
		members []member
	}
	var batches []batch
	for _, g := range groups {
		held, known := idp.heldGroup(g)
		members := idp.members(g)
		for first := 0; known && first < len(members); first += idp.options.MemberBatch {
			batches = append(batches, batch{held, members[first:min(first+idp.options.MemberBatch, len(members))]})
		}
	}
	var done atomic.Int64
	return idp.each(ctx, len(batches), func(i int) error {
		b := batches[i]
		if err := idp.send(ctx, idp.dialect.addMembers(b.group, b.members)...); err != nil {
			return fmt.Errorf("members of %s: %w", b.group.DisplayName, err)
		}
		idp.report(Event{"members", b.group.DisplayName, int(done.Add(1)), len(batches)})
		return nil
	})
}

func (idp *IdP) heldGroup(g Group) (heldGroup, bool) {
	idp.mu.Lock()
	defer idp.mu.Unlock()
	id, ok := idp.groups[g.ID]
	return heldGroup{id, g.Name}, ok
}

// members returns those members of g that are at the service provider.
func (idp *IdP) members(g Group) []member {
	idp.mu.Lock()
	defer idp.mu.Unlock()
	var list []member
	for _, nickname := range g.Members {
		if link, ok := idp.users[nickname]; ok {
			list = append(list, member{link.id, idp.directory.People[idp.index[nickname]].UserName})
		}
	}
	return list
}

// each runs do for 0 … n-1, Parallel at a time, and joins the failures. It starts no more
// once ctx ends.
func (idp *IdP) each(ctx context.Context, n int, do func(i int) error) error {
	var (
		mu       sync.Mutex
		failures []error
		failed   int
		next     atomic.Int64
		running  sync.WaitGroup
	)
	work := func() {
		for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
			err := do(i)
			if err == nil {
				continue
			}
			mu.Lock()
			if failed++; failed <= maxFailures {
				failures = append(failures, err)
			}
			mu.Unlock()
		}
	}
	for range min(idp.options.Parallel, n) {
		running.Go(work)
	}
	running.Wait()
	if failed > maxFailures {
		failures = append(failures, fmt.Errorf("and %d more failures", failed-maxFailures))
	}
	return errors.Join(append(failures, ctx.Err())...)
}

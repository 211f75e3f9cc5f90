package idpsim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// Deactivate unassigns the person from the application: the service provider is told
// active:false. The person can still sign in at the IdP, and still belongs to groups.
func (idp *IdP) Deactivate(ctx context.Context, ref string) error {
	return idp.setActive(ctx, ref, false)
}

// Reactivate assigns the person again.
func (idp *IdP) Reactivate(ctx context.Context, ref string) error {
	return idp.setActive(ctx, ref, true)
}

func (idp *IdP) setActive(ctx context.Context, ref string, active bool) error {
	p, err := idp.change(ref, func(p *Person) { p.Inactive = !active })
	if err != nil {
		return err
	}
	id, err := idp.userID(ctx, p)
	if err != nil {
		return err
	}
	return idp.send(ctx, idp.dialect.setActive(id, active))
}

// Update changes an entry of the directory, but neither its nickname nor its id, and pushes
// what differs.
func (idp *IdP) Update(ctx context.Context, ref string, change func(*Person)) error {
	p, err := idp.change(ref, change)
	if err != nil {
		return err
	}
	id, err := idp.userID(ctx, p)
	if err != nil {
		return err
	}
	var held heldUser
	if _, err := idp.do(ctx, call{http.MethodGet, userPath(id), nil}, &held); err != nil {
		return err
	}
	_, err = idp.changeUser(ctx, held, p)
	return err
}

// Hire adds a person to the directory and to the given groups, and pushes both.
func (idp *IdP) Hire(ctx context.Context, p Person, groups ...string) error {
	if err := idp.add(&p); err != nil {
		return err
	}
	if _, err := idp.pushUser(ctx, p); err != nil {
		return err
	}
	for _, group := range groups {
		if err := idp.AddMember(ctx, group, p.Nickname); err != nil {
			return err
		}
	}
	return nil
}

func (idp *IdP) add(p *Person) error {
	idp.mu.Lock()
	defer idp.mu.Unlock()
	p.complete(idp.directory.Domain)
	larger := idp.directory.clone()
	larger.People = append(larger.People, *p)
	if err := larger.validate(); err != nil {
		return err
	}
	idp.directory = larger
	idp.index[p.Nickname] = len(larger.People) - 1
	return nil
}

// Delete deletes the person's user at the service provider, as Entra does 30 days after a
// deletion. Okta never deletes users: an error. The entry stays in the directory, inactive.
func (idp *IdP) Delete(ctx context.Context, ref string) error {
	if idp.options.Persona == Okta {
		return errors.New("a user is never deleted by Okta")
	}
	p, err := idp.change(ref, func(p *Person) { p.Inactive = true })
	if err != nil {
		return err
	}
	id, err := idp.userID(ctx, p)
	if err != nil {
		return err
	}
	if err := idp.send(ctx, call{http.MethodDelete, userPath(id), nil}); err != nil {
		return err
	}
	idp.mu.Lock()
	defer idp.mu.Unlock()
	delete(idp.users, p.Nickname)
	return nil
}

// AddMember adds the person to the group.
func (idp *IdP) AddMember(ctx context.Context, group, ref string) error {
	return idp.changeMember(ctx, group, ref, func(g *Group, nickname string) {
		if !slices.Contains(g.Members, nickname) {
			g.Members = append(g.Members, nickname)
		}
	}, func(held heldGroup, m member) []call { return idp.dialect.addMembers(held, []member{m}) })
}

// RemoveMember removes the person from the group.
func (idp *IdP) RemoveMember(ctx context.Context, group, ref string) error {
	return idp.changeMember(ctx, group, ref, func(g *Group, nickname string) {
		g.Members = slices.DeleteFunc(g.Members, func(m string) bool { return m == nickname })
	}, idp.dialect.removeMember)
}

func (idp *IdP) changeMember(ctx context.Context, group, ref string,
	change func(*Group, string), calls func(heldGroup, member) []call) error {
	p, err := idp.person(ref)
	if err != nil {
		return err
	}
	g, err := idp.changeGroup(group, func(g *Group) { change(g, p.Nickname) })
	if err != nil {
		return err
	}
	userID, err := idp.userID(ctx, p)
	if err != nil {
		return err
	}
	groupID, err := idp.groupID(ctx, g)
	if err != nil {
		return err
	}
	return idp.send(ctx, calls(heldGroup{groupID, g.Name}, member{userID, p.UserName})...)
}

// PushGroup pushes the whole membership of the group: Okta's "Push Now", which replaces it;
// as Entra everybody is added again.
func (idp *IdP) PushGroup(ctx context.Context, group string) error {
	g, err := idp.changeGroup(group, func(*Group) {})
	if err != nil {
		return err
	}
	id, err := idp.groupID(ctx, g)
	if err != nil {
		return err
	}
	return idp.send(ctx, idp.dialect.pushMembers(heldGroup{id, g.Name}, idp.members(g))...)
}

// RenameGroup gives the group another name.
func (idp *IdP) RenameGroup(ctx context.Context, group, name string) error {
	g, err := idp.changeGroup(group, func(*Group) {})
	if err != nil {
		return err
	}
	id, err := idp.groupID(ctx, g) // found by the name that it still has
	if err != nil {
		return err
	}
	if _, err := idp.changeGroup(group, func(g *Group) { g.Name = name }); err != nil {
		return err
	}
	return idp.send(ctx, idp.dialect.renameGroup(id, name))
}

// DeleteGroup removes the group from the directory and from the service provider.
func (idp *IdP) DeleteGroup(ctx context.Context, group string) error {
	g, err := idp.changeGroup(group, func(*Group) {})
	if err != nil {
		return err
	}
	id, err := idp.groupID(ctx, g)
	if err != nil {
		return err
	}
	idp.mu.Lock()
	idp.directory.Groups = slices.DeleteFunc(idp.directory.Groups, func(other Group) bool { return other.ID == g.ID })
	delete(idp.groups, g.ID)
	idp.mu.Unlock()
	return idp.send(ctx, call{http.MethodDelete, groupPath(id), nil})
}

// change changes a person of the directory and returns the result.
func (idp *IdP) change(ref string, change func(*Person)) (Person, error) {
	idp.mu.Lock()
	defer idp.mu.Unlock()
	i := idp.find(ref)
	if i < 0 {
		return Person{}, fmt.Errorf("person %q: %w", ref, ErrUnknown)
	}
	before := idp.directory.People[i]
	after := before
	change(&after)
	after.Nickname, after.ID = before.Nickname, before.ID
	idp.directory.People[i] = after
	return after, nil
}

// changeGroup changes a group of the directory and returns a copy of the result.
func (idp *IdP) changeGroup(ref string, change func(*Group)) (Group, error) {
	idp.mu.Lock()
	defer idp.mu.Unlock()
	i := idp.directory.group(ref)
	if i < 0 {
		return Group{}, fmt.Errorf("group %q: %w", ref, ErrUnknown)
	}
	g := &idp.directory.Groups[i]
	change(g)
	result := *g
	result.Members = slices.Clone(g.Members)
	return result, nil
}

// userID returns the id of p at the service provider, looking it up if it is not known.
func (idp *IdP) userID(ctx context.Context, p Person) (string, error) {
	if link, ok := idp.link(p.Nickname); ok {
		return link.id, nil
	}
	held, found, err := idp.findUser(ctx, p)
	if err == nil && !found {
		err = fmt.Errorf("%s was never pushed", p.UserName)
	}
	return held.ID, err
}

func (idp *IdP) groupID(ctx context.Context, g Group) (string, error) {
	if held, ok := idp.heldGroup(g); ok {
		return held.ID, nil
	}
	id, err := idp.findGroup(ctx, g)
	if err == nil && id == "" {
		err = fmt.Errorf("group %s was never pushed", g.Name)
	}
	return id, err
}

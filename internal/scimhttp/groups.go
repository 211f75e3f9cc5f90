package scimhttp

import (
	"net/http"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
)

// groups is where the tenant's groups are.
func groups(c *call) (endpoint, error) {
	return endpoint{
		rt: c.dir.GroupType(), longest: longestGroup,
		read: readGroup, create: createGroup, replace: replaceGroup, patch: patchGroup, remove: deleteGroup,
	}, nil
}

// createGroup does POST /Groups (RFC 7644 §3.3).
func createGroup(c *call, op operation) (outcome, error) {
	doc, err := c.document(op)
	if err != nil {
		return outcome{}, err
	}
	group, _, err := c.dir.CreateGroup(c.context(), doc)
	if err != nil {
		return outcome{}, err
	}
	if len(doc.Members) == 0 {
		group.Members = []store.Member{} // nobody: nothing to read back
	}
	done := c.written(http.StatusCreated, group, op.view)
	done.specified = doc.Specified(op.view.rt)
	return done, nil
}

// readGroup does GET /Groups/{id} (RFC 7644 §3.4.1).
func readGroup(c *call, op operation) (outcome, error) {
	group, err := c.dir.Group(c.context(), op.id, op.view.rows != nil)
	if err != nil {
		return outcome{}, err
	}
	return outcome{status: http.StatusOK, resource: c.group(group)}, nil
}

// replaceGroup does PUT /Groups/{id} (RFC 7644 §3.5.1). A body without
// members leaves the membership as it is: only members that are sent, be it
// null or [], replace it (Q61).
func replaceGroup(c *call, op operation) (outcome, error) {
	doc, err := c.document(op)
	if err != nil {
		return outcome{}, err
	}
	change := store.GroupChange{
		Attributes: replacementBy(doc, op.view.rt),
		Members:    replacement(doc),
	}
	c.dir.Record().Status(http.StatusOK)
	group, _, err := c.dir.UpdateGroup(c.context(), op.id, op.ifMatch, change)
	if err != nil {
		return outcome{}, err
	}
	done := c.written(http.StatusOK, group, op.view)
	done.specified = doc.Specified(op.view.rt)
	return done, nil
}

func replacement(doc scim.Document) []scim.MemberOp {
	switch {
	case !doc.HasMembers:
		return nil
	case len(doc.Members) == 0:
		return []scim.MemberOp{{Kind: scim.RemoveAll}}
	}
	return []scim.MemberOp{{Kind: scim.ReplaceMembers, Members: doc.Members}}
}

// patchGroup does PATCH /Groups/{id} (RFC 7644 §3.5.2): 204 and no member
// list (Q103), or 200 where the client names the attributes that it wants to
// see.
func patchGroup(c *call, op operation) (outcome, error) {
	patch, err := scim.ParsePatch(op.view.rt, op.body, c.profile())
	if err != nil {
		return outcome{}, err
	}
	if op.view.named {
		c.dir.Record().Status(http.StatusOK)
	}
	group, _, err := c.dir.UpdateGroup(c.context(), op.id, op.ifMatch, groupChange(op.view.rt, patch))
	if err != nil {
		return outcome{}, err
	}
	if !op.view.named {
		return outcome{status: http.StatusNoContent, resource: c.group(group)}, nil
	}
	done := c.written(http.StatusOK, group, op.view)
	done.specified = patch.Specified(op.view.rt)
	return done, nil
}

// groupChange is what a patch makes of a group. The group's attributes are not
// read where only members change, unless there is a repair to record: the notes
// come with the attributes.
func groupChange(rt *scim.ResourceType, patch scim.Patch) store.GroupChange {
	change := store.GroupChange{Members: patch.Members()}
	if patch.ChangesAttributes() || patch.Repaired() {
		change.Attributes = func(old scim.Resource) (scim.Resource, []scim.Note, error) {
			return patch.Apply(rt, old)
		}
	}
	return change
}

// written is a group that has just been written. Where members are shown
// they are read back; if that fails the write is still a fact, and is answered
// without them.
func (c *call) written(status int, group store.Group, v view) outcome {
	if v.rows != nil && group.Members == nil {
		if fresh, err := c.dir.Group(c.context(), group.ID.String(), true); err == nil {
			group = fresh
		}
	}
	return outcome{status: status, resource: c.group(group)}
}

// deleteGroup does DELETE /Groups/{id} (RFC 7644 §3.6).
func deleteGroup(c *call, op operation) (outcome, error) {
	return outcome{status: http.StatusNoContent}, c.dir.DeleteGroup(c.context(), op.id, op.ifMatch)
}

package server_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/muster-id/muster/conformance"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/storetest"
)

// groupRows show what takes a group of many.
func groupRows(t *testing.T, c *conforming) {
	c.Row(t, "J56", largePatches)
	looks := touches{tables: []string{"memberships"}}
	w := start(t, storetest.New(t, func(c *store.Config) { c.Tracer = &looks }))
	c.elsewhere(w, func(c *conforming) {
		c.Row(t, "P12", func(trial *conformance.Trial) { withoutMembers(trial, &looks) })
	})
}

// largePatches adds thousands of members by one operation, and takes them out and in
// again by thousands of operations.
func largePatches(trial *conformance.Trial) {
	const people, operations = 2_000, 10_000
	ids := crowd(trial, people)
	trial.Expect(trial.Send(`POST /Groups
{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Everybody"}`), `201
{"id":"{group}","...":"..."}`)

	trial.Expect(trial.Send(groupPatch(`{"op":"add","path":"members","value":[`+list(ids, `{"value":%q}`)+`]}`)), "204")
	trial.Check(members(trial) == people, "after one operation: %d members, want %d", members(trial), people)

	trial.Expect(trial.Send(groupPatch(list(ids, `{"op":"remove","path":"members[value eq \"%s\"]"}`))), "204")
	trial.Check(members(trial) == 0, "after as many removals: %d members, want none", members(trial))

	var again []string
	for i := range operations {
		again = append(again, ids[i%people])
	}
	trial.Expect(trial.Send(groupPatch(list(again, `{"op":"add","path":"members","value":[{"value":%q}]}`))), "204")
	trial.Check(members(trial) == people, "after %d operations: %d members, want %d", operations, members(trial), people)
}

func groupPatch(operations string) string {
	return "PATCH /Groups/{group}\n" + `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + operations + `]}`
}

func list(ids []string, format string) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = fmt.Sprintf(format, id)
	}
	return strings.Join(texts, ",")
}

func members(trial *conformance.Trial) int {
	var group struct{ Members []struct{ Value string } }
	trial.Decode(trial.Send("GET /Groups/{group}?attributes=members.value"), &group)
	return len(group.Members)
}

// crowd makes n users, several at a time, and returns their ids.
func crowd(trial *conformance.Trial, n int) []string {
	answers := make([]conformance.Answer, n)
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := worker; i < n; i += 8 {
				answers[i] = trial.Send(fmt.Sprintf("POST /Users?attributes=id\n"+`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"person%d"}`, i))
			}
		})
	}
	all.Wait()
	ids := make([]string, n)
	for i, answer := range answers {
		trial.Check(answer.Status == 201, "person %d: got %d: %s", i, answer.Status, answer.Body)
		ids[i], _ = attributes(trial, answer.Body)["id"].(string)
	}
	return ids
}

// withoutMembers reads a group without its members: they are not even looked at.
func withoutMembers(trial *conformance.Trial, looks *touches) {
	ids := crowd(trial, 100)
	trial.Expect(trial.Send("POST /Groups?excludedAttributes=members\n"+
		`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Everybody","members":[`+list(ids, `{"value":%q}`)+`]}`), `201
{"id":"{group}","members":"!...","...":"..."}`)
	before := looks.count.Load()
	trial.Check(members(trial) == len(ids), "%d members, want %d", members(trial), len(ids))
	trial.Check(looks.count.Load() > before, "the members were read, and no look at them was seen")
	for _, query := range []string{"/Groups/{group}?excludedAttributes=members", "/Groups/{group}?attributes=displayName", "/Groups?excludedAttributes=members"} {
		before := looks.count.Load()
		answer := trial.Send("GET " + query)
		trial.Check(answer.Status == 200 && !strings.Contains(answer.Body, `"members"`), "GET %s: got %d: %.300s", query, answer.Status, answer.Body)
		trial.Check(looks.count.Load() == before, "GET %s: members were looked at", query)
	}
}

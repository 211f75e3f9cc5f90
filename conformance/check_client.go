package conformance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// clientChecks show what customary clients do at once or in bulk.
var clientChecks = []Check{
	{Name: "clients/burst", Rows: []string{"Q12"}, Run: burst},
	{Name: "clients/large-group", Rows: []string{"Q65"}, Run: largeGroup},
	{Name: "clients/not-called", Rows: []string{"Q18"}, Run: notCalled},
}

// burst sends more at once than a provisioning client sends in a second, all of it about
// one group: none is turned away, and every change counts.
func burst(t *Trial) {
	const clients, each = 16, 4
	ids := t.crowd(clients * each)
	t.Expect(t.Send(`POST /Groups
{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Burst","members":[{"value":"`+ids[0]+`"}]}`), `201
{"id":"{group}","...":"..."}`)
	change := func(operation, path string, ids []string) {
		statuses := t.parallel(len(ids), func(i int) string {
			return "PATCH /Groups/{group}\n" + fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":%q,%s}]}`,
				operation, fmt.Sprintf(path, ids[i]))
		})
		t.Check(allSucceeded(statuses), "%s by each of %d at once: got statuses %v", operation, len(ids), statuses)
	}
	change("add", `"path":"members","value":[{"value":%q}]`, ids)
	t.Check(slices.Equal(t.members(), sorted(ids)), "not everybody who was added is a member")
	change("remove", `"path":"members[value eq \"%s\"]"`, ids[:len(ids)/2])
	t.Check(slices.Equal(t.members(), sorted(ids[len(ids)/2:])), "not exactly those who were left in are members")
}

// largeGroup puts a group of more members than a directory usually sends at once.
func largeGroup(t *Trial) {
	const people = 1_200
	ids := t.crowd(people)
	members := make([]string, len(ids))
	for i, id := range ids {
		members[i] = fmt.Sprintf(`{"value":%q,"display":"person %d","$ref":null}`, id, i)
	}
	body := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Large","members":[` + strings.Join(members, ",") + `]}`
	t.Expect(t.Send("POST /Groups?attributes=displayName\n"+body), `201
{"id":"{group}","...":"..."}`)
	t.Check(slices.Equal(t.members(), sorted(ids)), "POST: not everybody who was sent is a member")
	t.Expect(t.Send("PUT /Groups/{group}?attributes=displayName\n"+body), `200
{"id":"{group}","...":"..."}`)
	t.Check(slices.Equal(t.members(), sorted(ids)), "PUT: not everybody who was sent is a member")
}

// notCalled asks for what no provisioning client here calls: either the service provider
// says in ServiceProviderConfig that it has it, or it says in SCIM's words that it has not.
func notCalled(t *Trial) {
	var config struct{ Bulk struct{ Supported *bool } }
	answer := t.Send("GET /ServiceProviderConfig")
	t.Decode(answer, &config)
	t.Check(config.Bulk.Supported != nil, "ServiceProviderConfig does not say whether bulk is supported: %.300s", answer.Body)
	for _, request := range []string{
		"POST /Users/.search\n" + `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"userName pr"}`,
		"POST /Bulk\n" + `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[]}`,
		"GET /Me",
	} {
		answer := t.Send(request)
		if answer.Status == 200 {
			t.Check(json.Valid([]byte(answer.Body)), "%s: no JSON: %.300s", request, answer.Body)
			continue
		}
		t.Expect(answer, fmt.Sprintf(`%[1]d
Content-Type: application/scim+json
{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"%[1]d","detail":"...","...":"..."}`, answer.Status))
		t.Check(400 <= answer.Status && answer.Status < 502 && answer.Status != 500, "%s: got status %d", request, answer.Status)
	}
}

// crowd makes n users, several at a time, and returns their ids.
func (t *Trial) crowd(n int) []string {
	ids := make([]string, n)
	t.together(n, func(i int) {
		var made struct{ ID string }
		answer := t.Send(fmt.Sprintf("POST /Users\n"+`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"person %d"}`, i))
		if json.Unmarshal([]byte(answer.Body), &made) == nil && answer.Status == 201 {
			ids[i] = made.ID
		}
	})
	t.Check(!slices.Contains(ids, ""), "of %d users not all were created", n)
	return ids
}

// parallel sends n requests at once and returns the statuses of the answers.
func (t *Trial) parallel(n int, request func(int) string) []int {
	statuses := make([]int, n)
	t.together(n, func(i int) { statuses[i] = t.Send(request(i)).Status })
	return statuses
}

// together calls each of n, sixteen at a time.
func (t *Trial) together(n int, each func(int)) {
	const clients = 16
	var all sync.WaitGroup
	for first := range min(clients, n) {
		all.Go(func() {
			for i := first; i < n; i += clients {
				each(i)
			}
		})
	}
	all.Wait()
}

func allSucceeded(statuses []int) bool {
	return !slices.ContainsFunc(statuses, func(status int) bool { return status != 200 && status != 204 })
}

// members returns who is in {group}, in order.
func (t *Trial) members() []string {
	var group struct{ Members []struct{ Value string } }
	t.Decode(t.Send("GET /Groups/{group}?attributes=members.value"), &group)
	ids := make([]string, len(group.Members))
	for i, member := range group.Members {
		ids[i] = member.Value
	}
	return sorted(ids)
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// What a large customer brings in its first sync.
const (
	syncPeople = 100_000
	syncGroups = 1_000
	syncEach   = 1_000 // members a group
	syncChunk  = 100   // members a request
)

// firstSync is a directory that is pushed for the first time: people, groups,
// then members, in plain SCIM requests from eight clients.
func firstSync(ctx context.Context, w *world) error {
	people, groups := make([]string, syncPeople), make([]string, syncGroups)
	steps := []struct {
		name string
		n    int
		do   func(c *client, i int) error
	}{
		{"first sync: people", syncPeople, func(c *client, i int) (err error) {
			people[i], err = w.createOne(c, "/t/bench/scim/v2/Users", body(w.next.Add(1)))
			return err
		}},
		{"first sync: groups", syncGroups, func(c *client, i int) (err error) {
			groups[i], err = w.createOne(c, "/t/bench/scim/v2/Groups", fmt.Sprintf(`{"displayName":"Troupe %d","externalId":"troupe-%d"}`, i, i))
			return err
		}},
		{"first sync: 100 members each", syncGroups * syncEach / syncChunk, func(c *client, i int) error {
			group, chunk := i%syncGroups, i/syncGroups
			return c.expect(204, "PATCH", "/t/bench/scim/v2/Groups/"+groups[group], addMembers(people, group*syncEach+chunk*syncChunk))
		}},
	}
	for _, step := range steps {
		t := turn{n: step.n}
		before, err := w.usage()
		if err != nil {
			return err
		}
		begun := time.Now()
		if err := w.each(ctx, step.name, step.n, step.do); err != nil {
			return err
		}
		t.took = time.Since(begun)
		after, err := w.usage()
		if err != nil {
			return err
		}
		t.used = after.minus(before)
		(&row{name: step.name, clients: creators, turns: []turn{t}}).print(nil)
	}
	return w.printPeak()
}

// addMembers is a PATCH that adds the people from one on to a group.
func addMembers(people []string, from int) string {
	var members strings.Builder
	for i := range syncChunk {
		if i > 0 {
			members.WriteByte(',')
		}
		fmt.Fprintf(&members, `{"value":"%s"}`, people[(from+i)%len(people)])
	}
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"members","value":[` + members.String() + `]}]}`
}

// printPeak says how much memory the server held at most.
func (w *world) printPeak() error {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.server.Process.Pid))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmHWM:") {
			fmt.Printf("the server's memory at its peak: %s\n", strings.Join(strings.Fields(line)[1:], " "))
		}
	}
	return nil
}

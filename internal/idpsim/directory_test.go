package idpsim

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func load(t *testing.T, name string) Directory {
	t.Helper()
	dir, err := Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTheTwoCircuses(t *testing.T) {
	for name, groups := range map[string][]string{
		"ringling": {"Ringling Managers", "Finance", "Ring Crew", "Animal Care", "Contractors", "All Staff"},
		"cirque":   {"Cirque Managers", "Acrobats", "Box Office", "Finance", "Contractors", "Everyone"},
	} {
		dir := load(t, name)
		var got []string
		for _, g := range dir.Groups {
			got = append(got, g.Name)
		}
		if diff := cmp.Diff(groups, got); diff != "" || len(dir.People) != 24 {
			t.Errorf("%s: %d people, groups (-want +got):\n%s", name, len(dir.People), diff)
		}
		if everybody := dir.Groups[5].Members; len(everybody) != 24 {
			t.Errorf("%s: %s has %d members", name, dir.Groups[5].Name, len(everybody))
		}
		for _, p := range dir.People {
			if !slices.Contains(departments, p.Department) || !strings.HasSuffix(p.Email, "@"+name+".example") {
				t.Errorf("%s: %s is in %q and has the e-mail %q", name, p.Nickname, p.Department, p.Email)
			}
		}
	}
}

func TestJamieMorganWorksForBoth(t *testing.T) {
	ringling, cirque := load(t, "ringling"), load(t, "cirque")
	groupsOf := func(dir Directory) (names []string) {
		for _, g := range dir.Groups {
			if slices.Contains(g.Members, "jamie.morgan") {
				names = append(names, g.Name)
			}
		}
		return names
	}
	atRingling := ringling.People[ringling.person("jamie.morgan@ringling.example")]
	atCirque := cirque.People[cirque.person("jamie.morgan@cirque.example")]
	if atRingling.Department != "Payroll" || atCirque.Department != "Box Office" || !strings.HasPrefix(atCirque.ID, "00u") {
		t.Errorf("Jamie is %+v and %+v", atRingling, atCirque)
	}
	if got := groupsOf(ringling); !slices.Equal(got, []string{"Finance", "All Staff"}) {
		t.Errorf("groups at Ringling: %v", got)
	}
	if got := groupsOf(cirque); !slices.Equal(got, []string{"Box Office", "Everyone"}) {
		t.Errorf("groups at Cirque: %v", got)
	}
}

func TestLoadRefusesADirectoryThatContradictsItself(t *testing.T) {
	person := "people: [{nickname: ann, id: '1'}]\n"
	for name, text := range map[string]string{
		"unknown field":  "people: [{nick: ann}]",
		"no id":          "people: [{nickname: ann}]",
		"id taken":       "people: [{nickname: ann, id: '1'}, {nickname: bob, id: '1'}]",
		"nickname taken": "people: [{nickname: ann, id: '1'}, {nickname: ann, id: '2'}]",
		"userName taken": "people: [{nickname: ann, id: '1', userName: x}, {nickname: bob, id: '2', userName: X}]",
		"manager":        "people: [{nickname: ann, id: '1', manager: zoe}]",
		"member":         person + "groups: [{name: G, id: g, members: [zoe]}]",
		"group taken":    person + "groups: [{name: G, id: g}, {name: G, id: h}]",
		"group id":       person + "groups: [{name: G}]",
	} {
		path := filepath.Join(t.TempDir(), "directory.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if dir, err := Load(path); err == nil {
			t.Errorf("%s: loaded as %+v", name, dir)
		}
	}
	if _, err := Load("no-such-circus"); err == nil {
		t.Error("a directory that does not exist was loaded")
	}
}

func TestSyntheticDirectories(t *testing.T) {
	dir := Synthetic(1000, 20, 7)
	if err := dir.validate(); err != nil {
		t.Fatal(err)
	}
	if len(dir.People) != 1000 || len(dir.Groups) != 20 || len(dir.Groups[0].Members) != 1000 {
		t.Errorf("%d people, %d groups, %d in the first", len(dir.People), len(dir.Groups), len(dir.Groups[0].Members))
	}
	if diff := cmp.Diff(dir, Synthetic(1000, 20, 7)); diff != "" {
		t.Errorf("the same seed gives another directory:\n%s", diff)
	}
	if cmp.Equal(dir, Synthetic(1000, 20, 8)) {
		t.Error("another seed gives the same directory")
	}
	for _, size := range [][2]int{{0, 0}, {1, 0}, {1, 1}, {10, 3}} {
		if dir := Synthetic(size[0], size[1], 1); len(dir.People) != size[0] || len(dir.Groups) != size[1] || dir.validate() != nil {
			t.Errorf("Synthetic(%v) = %d people, %d groups", size, len(dir.People), len(dir.Groups))
		}
	}
}

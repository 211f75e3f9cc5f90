package idpsim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/google/uuid"
)

var (
	givenNames  = strings.Fields("Ada Björn Chidi Dana Eszter Farid Gwen Hiro Inés Jakub Kirra Leïla Magnus Nkechi Oskar Pia Quentin Rosa Sanjay Thandi Uma Viktor Wen Ximena Yara Zoltán")
	familyNames = strings.Fields("Abe Baker Castillo Duarte Eriksson Fontaine Grünwald Hughes Ivanova Jansen Kowalski López Müller Nguyen O'Brien Park Quispe Rahman Sato Tanner Umarov Vega Walsh Xu Yılmaz Zhou")
	titles      = []string{"Clerk", "Specialist", "Lead", "Technician", "Trainer", "Agent"}
	departments = []string{"Payroll", "Ring Crew", "Animal Care", "Acrobatics", "Box Office", "Management"}
)

// groupsPerPerson is how many groups a synthetic person belongs to, if there are that many.
const groupsPerPerson = 4

// Synthetic returns a directory of the given numbers of people and groups for load tests.
// The same seed gives the same directory. Everybody belongs to the first group and to a few
// others, of which earlier ones are larger.
func Synthetic(people, groups int, seed uint64) Directory {
	random := rand.New(rand.NewPCG(seed, seed))
	domain := fmt.Sprintf("synthetic-%d.example", seed)
	dir := Directory{Name: fmt.Sprintf("Synthetic %d", seed), Domain: domain, Tenant: randomID(random)}
	for i := range groups {
		dir.Groups = append(dir.Groups, Group{Name: fmt.Sprintf("Group %05d", i), ID: randomID(random)})
	}
	for i := range people {
		p := syntheticPerson(random, i)
		p.complete(domain)
		if i > 0 {
			p.Manager = dir.People[random.IntN(i)/10].Nickname
		}
		dir.People = append(dir.People, p)
		for _, g := range syntheticGroups(random, groups) {
			dir.Groups[g].Members = append(dir.Groups[g].Members, p.Nickname)
		}
	}
	return dir
}

func syntheticPerson(random *rand.Rand, i int) Person {
	return Person{
		Nickname:   fmt.Sprintf("person.%06d", i),
		ID:         randomID(random),
		Given:      pick(random, givenNames),
		Family:     pick(random, familyNames),
		Title:      pick(random, titles),
		Department: pick(random, departments),
		Number:     fmt.Sprintf("S%06d", i),
		Phone:      fmt.Sprintf("+1 555 %07d", random.IntN(10_000_000)),
	}
}

func syntheticGroups(random *rand.Rand, groups int) []int {
	if groups == 0 {
		return nil
	}
	chosen := []int{0}
	for len(chosen) < min(groupsPerPerson, groups) {
		g := int(float64(groups) * random.Float64() * random.Float64())
		if !slices.Contains(chosen, g) {
			chosen = append(chosen, g)
		}
	}
	return chosen
}

func pick(random *rand.Rand, from []string) string { return from[random.IntN(len(from))] }

// randomID returns a version 4 UUID drawn from random.
func randomID(random *rand.Rand) string {
	var id uuid.UUID
	for i := range id {
		id[i] = byte(random.Uint32())
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id.String()
}

package idpsim

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed directories/*.yaml
var directories embed.FS

// Directory is the people and groups of one organisation.
type Directory struct {
	Name   string   `yaml:"name"`
	Domain string   `yaml:"domain"` // of userNames and e-mails that are not given
	Tenant string   `yaml:"tenant"` // the Entra tenant id; unused as Okta
	People []Person `yaml:"people"`
	Groups []Group  `yaml:"groups"`
}

// Person is one entry of a directory.
type Person struct {
	Nickname   string `yaml:"nickname"` // mailNickname; how the other entries refer to the person
	ID         string `yaml:"id"`       // Entra object id, or Okta user id "00u…"
	UserName   string `yaml:"userName"`
	Email      string `yaml:"email"`
	Given      string `yaml:"given"`
	Family     string `yaml:"family"`
	Title      string `yaml:"title"`
	Department string `yaml:"department"`
	Manager    string `yaml:"manager"` // nickname
	Number     string `yaml:"number"`
	Phone      string `yaml:"phone"`
	Inactive   bool   `yaml:"inactive"` // not assigned to the application
}

// DisplayName is the name as people say it.
func (p Person) DisplayName() string { return strings.TrimSpace(p.Given + " " + p.Family) }

// Group is one group of a directory. Groups hold people only: both personas flatten
// nested groups before they push them.
type Group struct {
	Name    string   `yaml:"name"`
	ID      string   `yaml:"id"`
	Members []string `yaml:"members"` // nicknames
}

// Load returns the directory of that name ("ringling" for Entra, "cirque" for Okta), or the
// one in the YAML file of that path.
func Load(name string) (Directory, error) {
	text, err := directories.ReadFile("directories/" + name + ".yaml")
	if err != nil {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return Directory{}, fmt.Errorf("directory %q is neither built in nor a file: %w", name, err)
	}
	dir, err := parseDirectory(text)
	if err != nil {
		return Directory{}, fmt.Errorf("directory %s: %w", name, err)
	}
	return dir, nil
}

func parseDirectory(text []byte) (Directory, error) {
	var dir Directory
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&dir); err != nil {
		return Directory{}, err
	}
	for i := range dir.People {
		dir.People[i].complete(dir.Domain)
	}
	return dir, dir.validate()
}

// complete fills in what follows from the nickname.
func (p *Person) complete(domain string) {
	if p.UserName == "" {
		p.UserName = p.Nickname + "@" + domain
	}
	if p.Email == "" {
		p.Email = p.UserName
	}
}

// validate refuses people and groups without identity, with one that is taken, and
// references to nobody.
func (d Directory) validate() error {
	taken := map[string]bool{}
	for _, p := range d.People {
		for kind, value := range map[string]string{"nickname": p.Nickname, "id": p.ID, "userName": strings.ToLower(p.UserName)} {
			if value == "" || taken[kind+value] {
				return fmt.Errorf("person %q: %s %q is empty or taken", p.Nickname, kind, value)
			}
			taken[kind+value] = true
		}
	}
	for _, p := range d.People {
		if p.Manager != "" && !taken["nickname"+p.Manager] {
			return fmt.Errorf("person %q: nobody is called %q", p.Nickname, p.Manager)
		}
	}
	for _, g := range d.Groups {
		if g.Name == "" || g.ID == "" || taken["group"+g.Name] || taken["group id"+g.ID] {
			return fmt.Errorf("group %q (%s): name or id is empty or taken", g.Name, g.ID)
		}
		taken["group"+g.Name], taken["group id"+g.ID] = true, true
		for _, nickname := range g.Members {
			if !taken["nickname"+nickname] {
				return fmt.Errorf("group %q: nobody is called %q", g.Name, nickname)
			}
		}
	}
	return nil
}

// person returns the index of whom ref names by nickname, id, userName or e-mail; -1 for
// nobody.
func (d Directory) person(ref string) int {
	return slices.IndexFunc(d.People, func(p Person) bool {
		return ref != "" && (p.Nickname == ref || p.ID == ref || strings.EqualFold(p.UserName, ref) || strings.EqualFold(p.Email, ref))
	})
}

// group returns the index of the group that ref names by name or id; -1 for none.
func (d Directory) group(ref string) int {
	return slices.IndexFunc(d.Groups, func(g Group) bool { return g.Name == ref || g.ID == ref })
}

// clone returns a copy that shares nothing.
func (d Directory) clone() Directory {
	d.People = slices.Clone(d.People)
	d.Groups = slices.Clone(d.Groups)
	for i := range d.Groups {
		d.Groups[i].Members = slices.Clone(d.Groups[i].Members)
	}
	return d
}

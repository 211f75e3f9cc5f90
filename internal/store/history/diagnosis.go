package history

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// A Diagnosis is one thing that goes wrong between an identity provider and a
// service provider, with the setting that mends it.
type Diagnosis struct {
	ID    string `json:"id"`    // kebab-case, never changed: scripts may look for it
	Title string `json:"title"` // what is the matter, in a line
	Text  string `json:"text"`  // what happens, and what it leads to

	fixes map[string]string // by kind of connection; "" for any that is not listed
}

// Fix says what to change, and where: in the identity provider, unless the
// setting is ours.
func (d Diagnosis) Fix(kind string) string {
	if fix, ok := d.fixes[kind]; ok {
		return fix
	}
	return d.fixes[""]
}

// A Finding is a diagnosis of one connection, and what it was made from.
type Finding struct {
	Diagnosis
	Remedy     string      `json:"fix"`
	Connection string      `json:"connection"`
	Count      int         `json:"count"`
	First      time.Time   `json:"first"`
	Last       time.Time   `json:"last"`
	Evidence   []string    `json:"evidence"`           // some of it, the newest first
	Requests   []uuid.UUID `json:"requests,omitempty"` // some of them, the newest first
}

// examples is how many requests and pieces of evidence a Finding shows.
const examples = 3

// A hit is one occasion of a diagnosis.
type hit struct {
	connection *connection
	request    uuid.UUID // uuid.Nil: it is not of one request
	at         time.Time
	evidence   string
}

// of is the hit that a request is.
func of(rd *reading, evidence string) hit {
	return hit{connection: rd.connection, request: rd.ID, at: rd.At, evidence: strings.Clone(evidence)}
}

// A requestRule finds a diagnosis in one request alone.
type requestRule struct {
	id    string
	match func(*reading) (evidence string, found bool)
}

// A windowRule finds a diagnosis in what happened over a time.
type windowRule struct {
	id   string
	find func(*window) []hit
}

// findings collects hits into findings, one for each diagnosis and connection,
// the newest first.
type findings struct {
	byKey map[findingKey]*Finding
	all   []*Finding
}

type findingKey struct {
	diagnosis  string
	connection uuid.UUID
}

func (f *findings) add(id string, hits ...hit) {
	slices.SortStableFunc(hits, func(a, b hit) int { return b.at.Compare(a.at) })
	for _, h := range hits {
		key := findingKey{id, h.connection.ID}
		one := f.byKey[key]
		if one == nil {
			d := diagnoses[id]
			one = &Finding{Diagnosis: d, Remedy: d.Fix(h.connection.Kind), Connection: h.connection.Name, First: h.at, Last: h.at, Evidence: []string{}}
			f.byKey[key] = one
			f.all = append(f.all, one)
		}
		one.count(h)
	}
}

func (f *Finding) count(h hit) {
	f.Count++
	if h.at.Before(f.First) {
		f.First = h.at
	}
	if h.at.After(f.Last) {
		f.Last = h.at
	}
	if len(f.Evidence) < examples && h.evidence != "" && !slices.Contains(f.Evidence, h.evidence) {
		f.Evidence = append(f.Evidence, h.evidence)
	}
	if len(f.Requests) < examples && h.request != uuid.Nil {
		f.Requests = append(f.Requests, h.request)
	}
}

// sorted are the findings, the newest first.
func (f *findings) sorted() []Finding {
	all := []Finding{}
	for _, one := range f.all {
		all = append(all, *one)
	}
	slices.SortStableFunc(all, func(a, b Finding) int {
		if c := b.Last.Compare(a.Last); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}

// Lookup answers the diagnosis with an id, or one without a word.
func Lookup(id string) Diagnosis { return diagnoses[id] }

// Diagnoses lists every diagnosis that there is, by id.
func Diagnoses() []Diagnosis {
	var all []Diagnosis
	for _, d := range diagnoses {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b Diagnosis) int { return strings.Compare(a.ID, b.ID) })
	return all
}

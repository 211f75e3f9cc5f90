package scim

import (
	"slices"
	"strconv"
)

// Profile says how a connection's requests are read.
type Profile string

// The profiles.
const (
	// Lenient accepts what provisioning clients customarily send and records
	// each repair as a [Note].
	Lenient Profile = "lenient"
	// Strict accepts what the RFCs allow and nothing else.
	Strict Profile = "strict"
)

// MaxNotes bounds the notes of one request.
const MaxNotes = 512

// BoundNotes returns the first [MaxNotes] notes and, where there are more, one
// that says how many. A request may name a hundred thousand members with the
// same slip.
func BoundNotes(notes []Note) []Note {
	if len(notes) <= MaxNotes {
		return notes
	}
	return append(notes[:MaxNotes:MaxNotes], moreNotes(len(notes)-MaxNotes))
}

func moreNotes(n int) Note {
	return Note{Quirk: "Q46", Reason: strconv.Itoa(n) + " more were ignored or repaired than are listed"}
}

// noteList collects the notes of one request, of which it keeps [MaxNotes].
type noteList struct {
	kept []Note
	more int
}

func (l *noteList) add(n Note) {
	if len(l.kept) == MaxNotes {
		l.more++
		return
	}
	l.kept = append(l.kept, n)
}

// all returns the notes, and last how many more there were.
func (l *noteList) all() []Note {
	if l.more == 0 {
		return l.kept
	}
	return append(slices.Clip(l.kept), moreNotes(l.more))
}

// clone returns a list that grows apart from l.
func (l *noteList) clone() noteList { return noteList{slices.Clip(l.kept), l.more} }

// Note records one thing that was ignored or repaired, so that a 2xx never
// hides it: the provisioning log shows notes and counts them.
type Note struct {
	Quirk  string // the customary deviation's number: "Q46"
	Path   string // the attribute concerned, as the schema or else the client spells it
	Reason string // what was done, for an administrator
}

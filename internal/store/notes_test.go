package store_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store/storetest"
)

// A group whose members are all unknown leaves a bounded row, which says how many
// more there were.
func TestTheNotesOfOneRequestAreBounded(t *testing.T) {
	owner, server := storetest.Database(t)
	c := ringlingOn(t, storetest.Open(t, server))
	doc := scim.Document{Resource: scim.Resource{"displayName": "Ghosts"}, HasMembers: true}
	for range 2000 {
		doc.Members = append(doc.Members, scim.Member{Value: uuid.NewString()})
	}
	if _, _, err := c.scim().CreateGroup(t.Context(), doc); err != nil {
		t.Fatal(err)
	}
	var text string
	err := storetest.Look(t, owner, "ringling").QueryRow(t.Context(), `select notes from provisioning_requests where notes is not null`).Scan(&text)
	if err != nil {
		t.Fatal(err)
	}
	var notes []scim.Note
	if err := json.Unmarshal([]byte(text), &notes); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%d more were ignored or repaired than are listed", 2000-scim.MaxNotes)
	if len(notes) != scim.MaxNotes+1 || notes[len(notes)-1].Reason != want {
		t.Errorf("%d notes, the last %+v; want %d and %q", len(notes), notes[len(notes)-1], scim.MaxNotes+1, want)
	}
}

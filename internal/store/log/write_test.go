package log_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/store/log"
)

var (
	note   = log.NewPart(`insert into notes values (@tenant, @subject, @text, @text, @n)`)
	named  = log.NewSubject(`insert into names values (@tenant, @subject, @name)`)
	second = log.NewPart(`update notes set n = @n from change where id = @request and text = @text`)
)

// What parts share is sent once, and what is a part's own is its own, whatever its name.
func TestAWriteIsOneStatement(t *testing.T) {
	w := log.Write{Change: log.Change{Tenant: uuid.New(), Subject: uuid.New(), Request: uuid.New(), Kind: "noted", Actor: "test"}}
	w.Add(note, "a text", 1)
	w.Add(second, 2, "another")
	var b pgx.Batch
	queued := w.AppendTo(&b)
	for _, want := range []string{
		"with change as (", "select $1, $2, $3, $4, $5, nullif($6::bigint, 0), $7, $8, $9, $10 returning n, at)",
		"insert into notes values ($1, $3, $11, $11, $12)",
		"update notes set n = $13 from change where id = $4 and text = $14",
	} {
		if !strings.Contains(queued.SQL, want) {
			t.Errorf("no %q in %s", want, queued.SQL)
		}
	}
	got := queued.Arguments[10:]
	if len(got) != 4 || got[0] != "a text" || got[1] != 1 || got[2] != 2 || got[3] != "another" {
		t.Errorf("the parts' own arguments are %v", got)
	}
}

// The subject's row may wait for another's name, and the number is drawn after that.
func TestTheSubjectIsWrittenBeforeItsChange(t *testing.T) {
	w := log.Write{Change: log.Change{Tenant: uuid.New(), Subject: uuid.New(), Kind: "named", Actor: "test"}}
	w.Add(named, "jamie")
	w.Add(second, 2, "another")
	var b pgx.Batch
	sql := w.AppendTo(&b).SQL
	for _, want := range []string{
		"with subject as (insert into names values ($1, $3, $11) returning 1), change as (", "$10 from subject returning n, at), part1 as (",
	} {
		if !strings.Contains(sql, want) {
			t.Errorf("no %q in %s", want, sql)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a write has its subject after another part")
		}
	}()
	w.Add(named, "jamie")
}

// A mistake in the program is no statement with the arguments of another.
func TestAPartTakesItsArguments(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a part of two parameters took one argument")
		}
	}()
	(&log.Write{}).Add(note, "alone")
}

package log

import (
	"regexp"
	"slices"
	"strconv"
	"sync"

	"github.com/jackc/pgx/v5"
)

// A Write is a change and what it does to the rows, as one statement: PostgreSQL begins,
// plans for and ends one instead of six, and takes what several mention once.
//
// All of it sees the rows as they were before, and but for the subject's row it is done in
// no order to rely on: none of it finds what another part wrote, and no two touch one row
// or one key. What must wait for a lock, or be free of a unique value, is so by a statement
// before. The subject's row may wait for its name, and the change has its number after that.
type Write struct {
	Change Change

	parts shape
	args  []any
}

// A Part is a statement that a Write may hold. In its text @tenant, @connection, @subject
// and @request are the change's, change.n its number, and any other name a parameter.
type Part struct {
	text    string
	own     []string // names of its parameters, each once, as they come
	subject bool     // writes the one row that the change is of
}

// A shape is the parts of a Write, in their order; the rest is nil. A change of everything
// about a person has eight.
type shape [8]*Part

// shared are the parameters that every part may mention; they come first.
var shared = []string{"tenant", "connection", "subject", "request"}

var parameter = regexp.MustCompile(`@([a-z_]+)`)

// NewPart makes a part of a constant text.
func NewPart(text string) *Part { return part(text, false) }

// NewSubject makes the part that writes the one row that the change is of. It comes first
// in its Write, and does not mention change.n.
func NewSubject(text string) *Part { return part(text, true) }

func part(text string, subject bool) *Part {
	p := &Part{text: text, subject: subject}
	for _, found := range parameter.FindAllStringSubmatch(text, -1) {
		if name := found[1]; !slices.Contains(shared, name) && !slices.Contains(p.own, name) {
			p.own = append(p.own, name)
		}
	}
	return p
}

// Add puts a part after the others. Its arguments are in the order in which its text
// mentions them first.
func (w *Write) Add(p *Part, args ...any) {
	if len(args) != len(p.own) {
		panic("log: a part takes " + strconv.Itoa(len(p.own)) + " arguments: " + p.text)
	}
	if p.subject && w.parts[0] != nil {
		panic("log: the subject's row comes first: " + p.text)
	}
	for i := range w.parts {
		if w.parts[i] == nil {
			w.parts[i], w.args = p, append(w.args, args...)
			return
		}
	}
	panic("log: a write of more parts than it holds")
}

// AppendTo adds the write to the transaction that b is part of. Its one row has the time of
// the transaction.
func (w *Write) AppendTo(b *pgx.Batch) *pgx.QueuedQuery {
	return b.Queue(w.parts.statement(), append(w.Change.args(), w.args...)...)
}

// Queue appends c to the transaction that b is part of, and nothing else.
func Queue(b *pgx.Batch, c Change) {
	w := Write{Change: c}
	w.AppendTo(b)
}

// appended is the change itself; the number is drawn when its row is made.
var appended = NewPart(`
	insert into changes (tenant_id, connection_id, subject, request_id, kind, subject_version, actor, body, digest, roles)
	select @tenant, @connection, @subject, @request, @kind, nullif(@version::bigint, 0), @actor, @body, @digest, @roles`)

// texts holds the statement of every shape that was asked for: a few dozen.
var texts sync.Map

// statement puts it together, once for each shape.
func (s shape) statement() string {
	if known, ok := texts.Load(s); ok {
		return known.(string)
	}
	subject, from, parts := "", "", ""
	before := len(shared) + len(appended.own)
	for i, p := range s {
		if p == nil {
			break
		}
		if p.subject {
			subject, from = "subject as ("+p.numbered(before)+" returning 1), ", " from subject"
		} else {
			parts += ", part" + strconv.Itoa(i) + " as (" + p.numbered(before) + ")"
		}
		before += len(p.own)
	}
	text := "with " + subject + "change as (" + appended.numbered(len(shared)) + from + " returning n, at)" + parts + " select at from change"
	texts.Store(s, text)
	return text
}

// numbered is the text with its parameters as PostgreSQL names them; the part's own
// follow so many.
func (p *Part) numbered(before int) string {
	return parameter.ReplaceAllStringFunc(p.text, func(name string) string {
		at := slices.Index(shared, name[1:])
		if at < 0 {
			at = before + slices.Index(p.own, name[1:])
		}
		return "$" + strconv.Itoa(at+1)
	})
}

package store

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/muster-id/muster/internal/store/filter"
)

// A cursor says where a page of a list begins (RFC 9865): the position of the
// resource before it, which need not be there any more, and how many were asked
// for. The server keeps nothing of it. To a client it is sealed, for the
// connection and the query that it was given to.
type cursor struct {
	filter.Position
	issued time.Time // by the database's clock
	count  int
}

// cursorTimeout is how long a cursor can be used, if nothing else is configured.
const cursorTimeout = time.Hour

// CursorTimeout is how long a cursor can be used once it was given out.
func (s *Store) CursorTimeout() time.Duration { return s.cursorTimeout }

func (c cursor) expired(now time.Time, timeout time.Duration) bool {
	return !c.issued.IsZero() && now.Sub(c.issued) > timeout
}

// fingerprint is of what a list is asked for, by which a cursor of another is
// told. Which page of it is wanted, and what shall be shown, is left out.
func (l *listing) fingerprint() []byte {
	sum := sha256.New()
	write := func(texts ...string) {
		for _, text := range texts {
			part := sha256.Sum256([]byte(text))
			sum.Write(part[:])
		}
	}
	for i, rt := range l.Types {
		write("type", rt.Name)
		if l.Filters != nil {
			write("filter", l.Filters[i].String())
		}
		if l.Sort != nil && !l.Sort.Refs[i].Absent {
			write("key", l.Sort.Refs[i].Last().Type.String())
		}
	}
	if l.Sort != nil {
		write("sort", l.Sort.String())
	}
	return sum.Sum(nil)
}

// The parts of a cursor before the text of its sort key, in bytes: flags, the
// time in microseconds, the count, the id.
const (
	cursorBody = 1 + 8 + 4 + 16

	cursorHasKey = 1 << 0
	cursorBack   = 1 << 1
)

// longestCursor bounds what is looked at, in bytes: a key of 1,024 bytes fits.
const longestCursor = 4096

func (dir *Directory) sealCursor(c cursor, query []byte) (string, error) {
	id, err := uuid.Parse(c.ID)
	if err != nil {
		return "", err
	}
	body := make([]byte, 1, cursorBody)
	if c.Back {
		body[0] |= cursorBack
	}
	body = binary.BigEndian.AppendUint64(body, uint64(c.issued.UnixMicro()))
	body = binary.BigEndian.AppendUint32(body, uint32(c.count))
	body = append(body, id[:]...)
	if c.Key != nil {
		body[0] |= cursorHasKey
		body = append(body, *c.Key...)
	}
	box, err := dir.cursorSeal()
	if err != nil {
		return "", err
	}
	sealed, err := box.Encrypt(body, query)
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// openCursor reads a cursor that was given to this connection for this query.
// Whatever else it may be looks the same: ErrBadCursor.
func (dir *Directory) openCursor(text string, query []byte) (cursor, error) {
	if len(text) > longestCursor {
		return cursor{}, ErrBadCursor
	}
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || base64.RawURLEncoding.EncodeToString(sealed) != text { // one spelling only
		return cursor{}, ErrBadCursor
	}
	box, err := dir.cursorSeal()
	if err != nil {
		return cursor{}, err
	}
	body, err := box.Decrypt(sealed, query)
	if err != nil || len(body) < cursorBody {
		return cursor{}, ErrBadCursor
	}
	c := cursor{
		issued: time.UnixMicro(int64(binary.BigEndian.Uint64(body[1:]))),
		count:  int(binary.BigEndian.Uint32(body[9:])),
	}
	c.ID = uuid.UUID(body[13:cursorBody]).String()
	c.Back = body[0]&cursorBack != 0
	if body[0]&cursorHasKey != 0 {
		key := string(body[cursorBody:])
		c.Key = &key
	}
	return c, nil
}

// cursorSeal has a key for each connection, that of no cursor of another.
func (dir *Directory) cursorSeal() (tink.AEAD, error) {
	return subtle.NewAESGCM(dir.store.seal.derive("cursor", dir.tenant.String(), dir.connection.String()))
}

// turn makes of the rows that were read the page that is shown, and gives it
// the cursors of those beside it.
func (l *listing) turn(page *Page) error {
	more := len(page.Items) > l.Count
	page.Items = page.Items[:min(len(page.Items), l.Count)]
	if l.from.Back {
		slices.Reverse(page.Items)
	}
	if l.Cursor == "" && !more && l.limit > 0 { // all there is
		page.Total, page.Counted = len(page.Items), true
	}
	if len(page.Items) == 0 {
		return nil
	}
	var err error
	if more || l.from.Back {
		page.Next, err = l.beside(page.Items[len(page.Items)-1], false)
	}
	if err == nil && (l.Cursor != "" && !l.from.Back || l.from.Back && more) {
		page.Previous, err = l.beside(page.Items[0], true)
	}
	return err
}

// beside is the cursor of the page after f, or before it.
func (l *listing) beside(f Found, back bool) (string, error) {
	at := filter.Position{Key: f.key, ID: f.ID.String(), Back: back}
	return l.dir.sealCursor(cursor{Position: at, issued: l.now, count: l.Count}, l.fingerprint())
}

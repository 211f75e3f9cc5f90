package scim

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Limits of one bulk request (RFC 7644 §3.7.4), which /ServiceProviderConfig
// publishes.
const (
	MaxBulkOperations = 1_000
	MaxBulkPayload    = 4 << 20 // bytes
)

// bulkSchema is what the `schemas` of a bulk request must name (RFC 7644 §3.7).
const bulkSchema = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"

// Bulk is a bulk request (RFC 7644 §3.7).
type Bulk struct {
	FailOnErrors int // after so many errors nothing more is done; 0: all is done
	Operations   []BulkOperation
}

// BulkOperation is one element of Operations as it was sent: whether it can be
// done is not known yet. What is absent or null is empty.
type BulkOperation struct {
	Method  string
	Path    string // relative to the tenant's base URL
	BulkID  string
	Version string // as in If-Match
	Data    []byte // JSON, of any type

	refers []string // bulkIds that Path and Data refer to, each once
}

// ParseBulk reads the body of a bulk request: JSON of at most 1,000 operations,
// whose data have at most 32 levels of objects and arrays. Errors are
// [*Error]: invalidSyntax for what is no such message, 413 for too many
// operations, invalidValue where two operations have one bulkId.
//
// The data are not looked into, but for references to bulkIds: each is decoded
// when its operation is done, as the body of a request of its own is, and what
// is wrong with it is wrong with that operation only.
func ParseBulk(body []byte) (Bulk, error) {
	r := bulkReader{body: body, dec: jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true))}
	if err := r.message(); err != nil {
		return Bulk{}, syntaxError(err)
	}
	if _, err := r.dec.ReadToken(); err != io.EOF {
		return Bulk{}, BadSyntax("the body goes on after its JSON object")
	}
	if !slices.Contains(r.schemas, bulkSchema) {
		return Bulk{}, BadSyntax("schemas must hold %q", bulkSchema)
	}
	if len(r.bulk.Operations) == 0 {
		return Bulk{}, BadSyntax("Operations must be an array of at least one operation")
	}
	return r.bulk, r.bulk.checkIDs()
}

// checkIDs refuses two operations with one bulkId: a reference to it would be
// to either.
func (b Bulk) checkIDs() error {
	seen := make(map[string]bool, len(b.Operations))
	for i, op := range b.Operations {
		if op.BulkID != "" && seen[op.BulkID] {
			return BadValue("Operations[%d]: the bulkId %q is given twice", i, clip(op.BulkID))
		}
		seen[op.BulkID] = true
	}
	return nil
}

// bulkReader reads the message around the data of a bulk request. Duplicate
// names within data are left for whoever decodes them.
type bulkReader struct {
	body    []byte
	dec     *jsontext.Decoder
	schemas []string
	bulk    Bulk
}

func (r *bulkReader) message() error {
	return readObject(r.dec, func(name string) (err error) {
		switch {
		case isName(name, "schemas"):
			r.schemas, err = readStrings(r.dec)
		case isName(name, "failOnErrors"):
			r.bulk.FailOnErrors, err = r.failOnErrors()
		case isName(name, "Operations"):
			err = readArray(r.dec, "Operations", r.operation)
		default:
			err = r.skip()
		}
		return err
	})
}

func (r *bulkReader) failOnErrors() (int, error) {
	raw, err := r.dec.ReadValue()
	if err != nil || raw.Kind() == jsontext.KindNull {
		return 0, err
	}
	n, err := strconv.ParseInt(string(raw), 10, 32)
	if err != nil || n < 1 {
		return 0, BadValue("failOnErrors must be a whole number of at least 1")
	}
	return int(n), nil
}

func (r *bulkReader) operation() error {
	i := len(r.bulk.Operations)
	if i == MaxBulkOperations {
		return tooLargeBulk("maxOperations", MaxBulkOperations)
	}
	op, err := r.readOperation()
	r.bulk.Operations = append(r.bulk.Operations, op)
	return atOperation(i, err)
}

func (r *bulkReader) readOperation() (op BulkOperation, err error) {
	scan := referenceScan{dec: r.dec, deepest: r.dec.StackDepth() + 1 + maxDepth}
	err = readObject(r.dec, func(name string) (err error) {
		switch {
		case isName(name, "method"):
			op.Method, err = r.text("method")
		case isName(name, "path"):
			op.Path, err = r.text("path")
		case isName(name, "bulkId"):
			op.BulkID, err = r.text("bulkId")
		case isName(name, "version"):
			op.Version, err = r.text("version")
		case isName(name, "data"):
			op.Data, err = r.data(&scan)
		default:
			err = r.skip()
		}
		return err
	})
	op.refers = scan.found
	if id, ok := pathReference(op.Path); ok {
		op.refers = append(op.refers, id)
	}
	slices.Sort(op.refers)
	op.refers = slices.Compact(op.refers)
	return op, err
}

func (r *bulkReader) text(name string) (string, error) {
	if r.dec.PeekKind() == jsontext.KindNull {
		return "", r.dec.SkipValue()
	}
	s, err := readString(r.dec, name)
	if err == nil && len(s) > maxString {
		err = BadSyntax("%s is longer than %d bytes", name, maxString)
	}
	return s, err
}

// data reads the data of an operation: the bytes between where its value
// begins and where it ends.
func (r *bulkReader) data(scan *referenceScan) ([]byte, error) {
	begin := r.dec.InputOffset() // of the colon, or of the space before it
	null := r.dec.PeekKind() == jsontext.KindNull
	if err := scan.value(""); err != nil || null {
		return nil, err
	}
	return bytes.TrimLeft(r.body[begin:r.dec.InputOffset()], " \t\r\n:"), nil
}

// skip passes over what a bulk request does not define, within the same bounds.
func (r *bulkReader) skip() error {
	return (&referenceScan{dec: r.dec, deepest: r.dec.StackDepth() + maxDepth}).value("")
}

// tooLargeBulk says which limit a bulk request exceeds: 413 (RFC 7644 §3.7.4).
func tooLargeBulk(limit string, most int) *Error {
	return Refuse(http.StatusRequestEntityTooLarge, "the bulk request exceeds %s (%d)", limit, most)
}

// BulkTooLong is the refusal of a body longer than [MaxBulkPayload].
func BulkTooLong() *Error { return tooLargeBulk("maxPayloadSize", MaxBulkPayload) }

package store

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// learnUUIDs lets a connection read and write uuid.UUID, and write uuid.NullUUID, as
// the 16 bytes that it is. Without it pgx goes by way of text, a tenth of the CPU of
// a create.
func learnUUIDs(_ context.Context, conn *pgx.Conn) error {
	types := conn.TypeMap()
	types.TryWrapEncodePlanFuncs = append([]pgtype.TryWrapEncodePlanFunc{wrapEncode}, types.TryWrapEncodePlanFuncs...)
	types.TryWrapScanPlanFuncs = append([]pgtype.TryWrapScanPlanFunc{wrapScan}, types.TryWrapScanPlanFuncs...)
	return nil
}

func wrapEncode(value any) (pgtype.WrappedEncodePlanNextSetter, any, bool) {
	id, ok := onWire(value)
	return &encodePlan{}, id, ok
}

// onWire is an id as pgx's codec wants it.
func onWire(value any) (pgtype.UUID, bool) {
	switch id := value.(type) {
	case uuid.UUID:
		return pgtype.UUID{Bytes: id, Valid: true}, true
	case uuid.NullUUID:
		return pgtype.UUID{Bytes: id.UUID, Valid: id.Valid}, true
	}
	return pgtype.UUID{}, false
}

type encodePlan struct{ next pgtype.EncodePlan }

func (p *encodePlan) SetNext(next pgtype.EncodePlan) { p.next = next }

func (p *encodePlan) Encode(value any, buf []byte) ([]byte, error) {
	id, _ := onWire(value)
	return p.next.Encode(id, buf)
}

// A wireUUID reads what pgx's codec answers.
type wireUUID uuid.UUID

// ScanUUID takes the bytes; null is the nil UUID's error.
func (w *wireUUID) ScanUUID(v pgtype.UUID) error {
	if !v.Valid {
		return errNullUUID
	}
	*w = v.Bytes
	return nil
}

var errNullUUID = badArgument("null where an id was expected")

func wrapScan(target any) (pgtype.WrappedScanPlanNextSetter, any, bool) {
	if id, ok := target.(*uuid.UUID); ok {
		return &scanPlan{}, (*wireUUID)(id), true
	}
	return nil, nil, false
}

type scanPlan struct{ next pgtype.ScanPlan }

func (p *scanPlan) SetNext(next pgtype.ScanPlan) { p.next = next }

func (p *scanPlan) Scan(src []byte, target any) error {
	return p.next.Scan(src, (*wireUUID)(target.(*uuid.UUID)))
}

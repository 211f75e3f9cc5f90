package store

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// learnUUIDs lets a connection read and write uuid.UUID as the 16 bytes that
// it is. Without it pgx goes by way of text, a tenth of the CPU of a create.
func learnUUIDs(_ context.Context, conn *pgx.Conn) error {
	types := conn.TypeMap()
	types.TryWrapEncodePlanFuncs = append([]pgtype.TryWrapEncodePlanFunc{wrapEncode}, types.TryWrapEncodePlanFuncs...)
	types.TryWrapScanPlanFuncs = append([]pgtype.TryWrapScanPlanFunc{wrapScan}, types.TryWrapScanPlanFuncs...)
	return nil
}

// A wireUUID is a uuid.UUID as pgx's codec wants it.
type wireUUID uuid.UUID

// UUIDValue answers the bytes.
func (w wireUUID) UUIDValue() (pgtype.UUID, error) { return pgtype.UUID{Bytes: w, Valid: true}, nil }

// ScanUUID takes the bytes; null is the nil UUID's error.
func (w *wireUUID) ScanUUID(v pgtype.UUID) error {
	if !v.Valid {
		return errNullUUID
	}
	*w = v.Bytes
	return nil
}

var errNullUUID = badArgument("null where an id was expected")

func wrapEncode(value any) (pgtype.WrappedEncodePlanNextSetter, any, bool) {
	if id, ok := value.(uuid.UUID); ok {
		return &encodePlan{}, wireUUID(id), true
	}
	return nil, nil, false
}

type encodePlan struct{ next pgtype.EncodePlan }

func (p *encodePlan) SetNext(next pgtype.EncodePlan) { p.next = next }

func (p *encodePlan) Encode(value any, buf []byte) ([]byte, error) {
	return p.next.Encode(wireUUID(value.(uuid.UUID)), buf)
}

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

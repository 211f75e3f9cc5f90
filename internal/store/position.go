package store

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"strconv"

	"github.com/google/uuid"
)

// A position is the database's incarnation and a transaction id, sealed per
// tenant: nobody orders positions, the server only asks whether one is visible.
const (
	positionBody = 16 + 8
	positionSeal = 16
)

func (s *Store) position(tenant, incarnation uuid.UUID, xid int64) string {
	body := binary.BigEndian.AppendUint64(incarnation[:], uint64(xid))
	return base64.RawURLEncoding.EncodeToString(append(body, s.sealPosition(tenant, body)...))
}

func (s *Store) sealPosition(tenant uuid.UUID, body []byte) []byte {
	return s.seal.derive("position", tenant.String(), string(body))[:positionSeal]
}

// openPosition reads a position that this deployment gave to this tenant.
func (s *Store) openPosition(tenant uuid.UUID, text string) (incarnation uuid.UUID, xid string, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) != positionBody+positionSeal {
		return uuid.Nil, "", false
	}
	body, mac := raw[:positionBody], raw[positionBody:]
	if !hmac.Equal(mac, s.sealPosition(tenant, body)) {
		return uuid.Nil, "", false
	}
	copy(incarnation[:], body)
	return incarnation, strconv.FormatUint(binary.BigEndian.Uint64(body[16:]), 10), true
}

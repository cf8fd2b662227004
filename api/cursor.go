package api

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"punctual/internal/jobs"
)

// cursor is a place in a list that is ordered by an instant and an id, newest first: the last item
// before it. On the wire it is opaque, so that its content can change.
type cursor struct {
	at time.Time
	// id is zero where the instant alone is unique. The id of a key is a text of as many bytes.
	id uuid.UUID
}

var errCursor = errors.New("is not a cursor that this list gave")

func (c cursor) String() string { return encodeCursor(c.bytes()) }

func (c cursor) bytes() []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(c.at.UnixMicro())), c.id[:]...)
}

func encodeCursor(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// decodeCursor returns the cursor that a request gives, or another one if it gives none.
func decodeCursor(given *string, otherwise cursor) (cursor, error) {
	if given == nil {
		return otherwise, nil
	}
	at, err := parseCursor(*given)
	if err != nil {
		return cursor{}, invalidCursor()
	}
	return at, nil
}

// invalidCursor is the error for a cursor that the list did not give.
func invalidCursor() error {
	return invalidQuery("cursor", jobs.WrongFormat, errCursor.Error())
}

func parseCursor(text string) (cursor, error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return cursor{}, errCursor
	}
	return cursorOf(raw)
}

func cursorOf(raw []byte) (cursor, error) {
	if len(raw) != 24 {
		return cursor{}, errCursor
	}
	micros := int64(binary.BigEndian.Uint64(raw))
	// The years that PostgreSQL and RFC 3339 both know.
	if at := time.UnixMicro(micros).UTC(); at.Year() >= 0 && at.Year() <= 9999 {
		return cursor{at: at, id: uuid.UUID(raw[8:])}, nil
	}
	return cursor{}, errCursor
}

// keyFromCursor returns the key of the last item before a page, or an empty text for the first
// page.
func keyFromCursor(given *string) (string, error) {
	key, err := base64.RawURLEncoding.DecodeString(orDefault(given, ""))
	if err != nil || !utf8.Valid(key) || bytes.IndexByte(key, 0) >= 0 { // which no text of PostgreSQL can have
		return "", invalidCursor()
	}
	return string(key), nil
}

// keyCursor returns the cursor from which keyFromCursor reads a key.
func keyCursor(key string) string { return encodeCursor([]byte(key)) }

// cutPage returns the items of a page and the cursor of the next page, which is nil on the last
// page. It is given one item more than a page may have, if there are so many.
func cutPage[T any](found []T, limit int32, cursorAfter func(last T) string) (items []T, next *string) {
	if len(found) <= int(limit) {
		return found, nil
	}
	items = found[:limit]
	return items, new(cursorAfter(items[limit-1]))
}

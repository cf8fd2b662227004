package keys

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"
)

// Place is where in a list a key stands.
type Place struct {
	CreatedAt time.Time
	ID        string
}

// firstPlace is before the newest key.
var firstPlace = Place{CreatedAt: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}

// errPlace says that a text is not the place of a key.
var errPlace = errors.New("is not the place of a key")

// Place returns where in a list the key stands.
func (v View) Place() Place { return Place{CreatedAt: v.CreatedAt, ID: v.ID} }

// String returns the place as a text that ParsePlace reads. What it consists of may change.
func (p Place) String() string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(p.CreatedAt.UnixMicro()))
	return base64.RawURLEncoding.EncodeToString(append(raw, p.ID...))
}

// ParsePlace returns the place that a text stands for.
func ParsePlace(text string) (Place, error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) != 8+idLength {
		return Place{}, errPlace
	}
	p := Place{CreatedAt: time.UnixMicro(int64(binary.BigEndian.Uint64(raw))).UTC(), ID: string(raw[8:])}
	// The years that PostgreSQL and RFC 3339 both know, and an id as keys have it.
	if _, err := alphabet.DecodeString(p.ID); err != nil || p.CreatedAt.Year() < 0 || p.CreatedAt.Year() > 9999 {
		return Place{}, errPlace
	}
	return p, nil
}

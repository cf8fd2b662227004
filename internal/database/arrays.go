package database

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// registerArrays makes a connection encode slices as arrays directly. By itself, pgx wraps each
// element in several values, some of them on the heap. With 17 arrays of 500 elements in a
// statement, that is a tenth of the cost of a run.
func registerArrays(types *pgtype.Map) {
	registerArray(types, pgtype.UUIDOID, func(b []byte, id uuid.UUID) []byte { return append(b, id[:]...) })
	registerArray(types, pgtype.TimestamptzOID, appendInstant)
	registerArray(types, pgtype.TextOID, func(b []byte, s string) []byte { return append(b, s...) })
	registerArray(types, pgtype.BoolOID, appendBool)
	registerArray(types, pgtype.Int2OID, func(b []byte, n int16) []byte { return binary.BigEndian.AppendUint16(b, uint16(n)) })
	registerArray(types, pgtype.Int4OID, func(b []byte, n int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(n)) })
	registerArray(types, pgtype.Int8OID, func(b []byte, n int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(n)) })
}

// postgresEpoch is the start of PostgreSQL's time scale, in microseconds after Unix's.
var postgresEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()

func appendInstant(b []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(t.UnixMicro()-postgresEpoch))
}

func appendBool(b []byte, is bool) []byte {
	if is {
		return append(b, 1)
	}
	return append(b, 0)
}

// registerArray makes a connection encode []T as the array of a type. The function add appends an
// element in the binary format of that type.
func registerArray[T any](types *pgtype.Map, element uint32, add func([]byte, T) []byte) {
	of, _ := types.TypeForOID(element)
	array, _ := types.TypeForName("_" + of.Name)
	types.RegisterType(&pgtype.Type{Name: array.Name, OID: array.OID, Codec: &arrayCodec[T]{
		ArrayCodec: pgtype.ArrayCodec{ElementType: of}, plan: arrayPlan[T]{element: element, add: add},
	}})
}

// arrayCodec leaves to pgx all but how to send []T.
type arrayCodec[T any] struct {
	pgtype.ArrayCodec
	plan arrayPlan[T]
}

func (c *arrayCodec[T]) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if _, ok := value.([]T); ok && format == pgtype.BinaryFormatCode {
		return c.plan
	}
	return c.ArrayCodec.PlanEncode(m, oid, format, value)
}

// arrayPlan writes the binary format of arrays, as array_recv in PostgreSQL's source reads it: the
// number of dimensions, whether there are nulls, and the type of the elements; for each dimension
// its length and lower bound; for each element its length and value.
type arrayPlan[T any] struct {
	element uint32
	add     func([]byte, T) []byte
}

func (p arrayPlan[T]) Encode(value any, buf []byte) ([]byte, error) {
	elements := value.([]T)
	for _, n := range []uint32{1, 0, p.element, uint32(len(elements)), 1} {
		buf = binary.BigEndian.AppendUint32(buf, n)
	}
	for _, e := range elements {
		at := len(buf)
		buf = p.add(append(buf, 0, 0, 0, 0), e)
		binary.BigEndian.PutUint32(buf[at:], uint32(len(buf)-at-4))
	}
	return buf, nil
}

package database

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"
)

func TestArraysAreSentAsPgxSendsThem(t *testing.T) {
	t.Parallel()
	ours := pgtype.NewMap()
	registerArrays(ours)
	for oid, arrays := range map[uint32][]any{
		pgtype.UUIDArrayOID: {[]uuid.UUID{uuid.Must(uuid.NewV7()), {}}, []uuid.UUID{}, []uuid.UUID(nil)},
		pgtype.TimestamptzArrayOID: {
			[]time.Time{{}, time.Date(1999, 12, 31, 23, 59, 59, 999_999_999, time.UTC), time.Now()}, []time.Time{}, []time.Time(nil),
		},
		pgtype.TextArrayOID: {[]string{"", "déjà vu"}, []string{}, []string(nil)},
		pgtype.BoolArrayOID: {[]bool{true, false}, []bool{}},
		pgtype.Int2ArrayOID: {[]int16{-1, 2}, []int16{}},
		pgtype.Int4ArrayOID: {[]int32{-1, 2}, []int32{}},
		pgtype.Int8ArrayOID: {[]int64{-1, 2}, []int64{}, []*int64{new(int64(3)), nil}},
	} {
		for _, array := range arrays {
			want, err := pgtype.NewMap().Encode(oid, pgtype.BinaryFormatCode, array, nil)
			require.NoError(t, err)
			got, err := ours.Encode(oid, pgtype.BinaryFormatCode, array, nil)
			require.NoError(t, err)
			require.Equal(t, want, got, "%T %v", array, array)
		}
	}
}

package ratelimit

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAttempts(t *testing.T) {
	t.Parallel()
	a := NewAttempts(60)
	here, elsewhere := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	attempt := func(from netip.Addr, hasFailed bool) bool {
		end, _ := a.Begin(start, from)
		if end != nil {
			end(start, hasFailed)
		}
		return end != nil
	}
	for range 100 {
		require.True(t, attempt(here, false), "what succeeds does not count")
	}
	for range 60 {
		require.True(t, attempt(here, true))
	}
	require.False(t, attempt(here, true))
	require.False(t, attempt(here, false), "nobody knows beforehand whether it will succeed")
	_, wait := a.Begin(start, here)
	require.InDelta(t, time.Second, wait, 1e6)
	require.False(t, attempt(netip.MustParseAddr("::ffff:192.0.2.1"), true), "the same address, written in another way")
	require.True(t, attempt(elsewhere, true), "other addresses do not suffer")

	end, _ := a.Begin(start.Add(time.Second), here)
	require.NotNil(t, end, "there is another one after a second")
}

// What is under way may still fail.
func TestAttempts_atOnce(t *testing.T) {
	t.Parallel()
	a := NewAttempts(10)
	from := netip.MustParseAddr("2001:db8::1")
	var ends []func(time.Time, bool)
	for range 10 {
		end, _ := a.Begin(start, from)
		require.NotNil(t, end)
		ends = append(ends, end)
	}
	end, wait := a.Begin(start, netip.MustParseAddr("2001:db8::2"))
	require.Nil(t, end, "ten are under way from this network")
	require.Positive(t, wait)
	ends[0](start, false)
	end, _ = a.Begin(start, from)
	require.NotNil(t, end)
}

// Somebody who has many addresses takes no more memory, and others go on.
func TestAttempts_manyAddresses(t *testing.T) {
	t.Parallel()
	a := NewAttempts(60)
	address := func(n int) netip.Addr {
		var bytes [16]byte
		binary.BigEndian.PutUint64(bytes[:], uint64(n)+1)
		return netip.AddrFrom16(bytes)
	}
	refused := 0
	for n := range 2 * maxAddresses {
		end, _ := a.Begin(start, address(n))
		if end == nil {
			refused++
			continue
		}
		end(start, true)
	}
	require.Equal(t, maxAddresses-60, refused, "beyond the bound, all of them share one bucket")
	require.LessOrEqual(t, len(a.buckets.all), maxAddresses+1)
	end, _ := a.Begin(start, address(0))
	require.NotNil(t, end, "an address that is known keeps its own")
	end(start, true)
	later := start.Add(2 * time.Minute)
	end, _ = a.Begin(later, address(3*maxAddresses))
	require.NotNil(t, end)
	require.LessOrEqual(t, len(a.buckets.all), 1, "they are forgotten")
}

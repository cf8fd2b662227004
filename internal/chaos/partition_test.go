//go:build chaos

package chaos

import (
	"context"
	"fmt"
	mathrand "math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// testNetwork has the networks of the tests. It is reserved for tests (RFC 2544).
const testNetwork = "198.18.0.0/15"

// link is a network namespace and its connection to the test's own.
type link struct {
	namespace   string
	device      string // the test's end of the link
	here, there string // the addresses of both ends
}

// newLink creates a namespace until the end of the test.
func newLink(t *testing.T, number int) link {
	t.Helper()
	id := mathrand.IntN(1 << 15)
	l := link{namespace: fmt.Sprintf("punctual-%d", id), device: fmt.Sprintf("punct%d", id)}
	prefix := fmt.Sprintf("198.18.%d.%d", id%256, id/256*2&^3) // a block of four addresses
	l.here, l.there = nextAddress(prefix, 1), nextAddress(prefix, 2)
	_, err := exec.LookPath("ip")
	require.NoError(t, err, "this test needs the command ip of iproute2")
	ip(t, "netns", "add", l.namespace)
	t.Cleanup(func() { ip(t, "netns", "del", l.namespace) }) // which also deletes the link
	ip(t, "link", "add", l.device, "type", "veth", "peer", "name", "uplink", "netns", l.namespace)
	ip(t, "address", "add", l.here+"/30", "dev", l.device)
	ip(t, "link", "set", l.device, "up")
	ip(t, "-netns", l.namespace, "address", "add", l.there+"/30", "dev", "uplink")
	ip(t, "-netns", l.namespace, "link", "set", "uplink", "up")
	ip(t, "-netns", l.namespace, "link", "set", "lo", "up")
	t.Logf("instance %d lives at %s", number, l.there)
	return l
}

// nobody is the address of a network card that does not exist. Packets to it are lost, and the
// sender gets no error.
const nobody = "02:00:00:00:00:01"

// cut breaks the link as an unplugged cable between two switches does. The sender would get an
// error if a device were taken down.
func (l link) cut(t *testing.T) {
	t.Helper()
	ip(t, "neighbour", "replace", l.there, "lladdr", nobody, "dev", l.device, "nud", "permanent")
	ip(t, "-netns", l.namespace, "neighbour", "replace", l.here, "lladdr", nobody, "dev", "uplink", "nud", "permanent")
}

// heal repairs what cut broke.
func (l link) heal(t *testing.T) {
	t.Helper()
	ip(t, "neighbour", "delete", l.there, "dev", l.device)
	ip(t, "-netns", l.namespace, "neighbour", "delete", l.here, "dev", "uplink")
}

// ip runs the command ip.
func ip(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(context.Background(), "ip", args...).CombinedOutput()
	require.NoError(t, err, "this test needs root (CAP_NET_ADMIN and CAP_SYS_ADMIN) on Linux: ip %s: %s",
		strings.Join(args, " "), out)
}

func nextAddress(address string, by int) string {
	at := strings.LastIndexByte(address, '.')
	var last int
	_, _ = fmt.Sscan(address[at+1:], &last)
	return fmt.Sprintf("%s.%d", address[:at], last+by)
}

// The link of one of two instances is cut for longer than its lease lasts and than it waits for a
// silent server. It stops executing before the other instance takes over, and works again after the
// link is repaired.
func TestCutNetwork(t *testing.T) {
	links := []link{newLink(t, 0), newLink(t, 1)}
	p := startPostgres(t, "127.0.0.1", links[0].here, links[1].here)
	s := &system{postgres: p, db: p.connect(t)}
	for _, l := range links {
		s.addWith(t, instanceConfig{databaseURL: p.url(l.here), host: l.there, namespace: l.namespace})
	}
	s.load(t)
	every(t, 5*time.Second, forHowLong(40*time.Second), func(n int) {
		lonely, other := s.instances[n%2], s.instances[(n+1)%2]
		s.freeze(t, lonely)
		at := s.now(t)
		links[n%2].cut(t)
		lonely.thaw(t)
		s.faults = append(s.faults, fault{from: at, to: s.now(t), victim: lonely})
		eventually(t, handOverWithin, func() bool { return len(s.takenOver(t, at)) > 0 }, "runs are taken over from %s", lonely.name)
		// Long enough for the instance to give up its connections. No run may be executed by both.
		tookOver := s.firstTakeover(t, other, at)
		<-time.After(8 * time.Second)
		healed := s.now(t)
		links[n%2].heal(t)

		eventually(t, time.Minute, func() bool { return lonely.executedSince(t, healed) }, "%s works again", lonely.name)
		last := at
		for _, l := range lonely.lines(t) {
			if l.Msg == "run" && l.Time.After(at) && l.Time.Before(healed) {
				last = l.Time
			}
		}
		assert.True(t, last.Before(tookOver), "%s executed a run %v after %s had taken over", lonely.name, last.Sub(tookOver), other.name)
		t.Logf("%s executed for %v after the cut, %s took over after %v, it works again %v after the repair", lonely.name,
			last.Sub(at).Round(time.Millisecond), other.name, tookOver.Sub(at).Round(time.Millisecond),
			s.now(t).Sub(healed).Round(time.Millisecond))
	})
	s.requireTakeovers(t, s.verify(t))
}

// firstTakeover returns when an instance first executed a run that another one had begun.
func (s *system) firstTakeover(t *testing.T, by *instance, since time.Time) time.Time {
	t.Helper()
	for _, l := range by.lines(t) {
		if l.Msg == "run" && l.Attempt > 1 && l.Time.After(since) {
			return l.Time
		}
	}
	require.FailNow(t, "no takeover", "the log of %s has none", by.name)
	return time.Time{}
}

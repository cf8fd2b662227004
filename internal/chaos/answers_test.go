//go:build chaos

package chaos

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Answers of PostgreSQL are lost with their connections, so instances do not know whether their
// claims and completions were committed. Repeating them does no harm, and runs that an instance has
// claimed without knowing it do not wait for ever.
func TestLostAnswers(t *testing.T) {
	p := startPostgres(t, "127.0.0.1")
	r := startRelay(t, p)
	s := &system{postgres: p, db: p.connect(t), url: p.urlAt("127.0.0.1", r.port())}
	for range 3 {
		s.add(t)
	}
	s.load(t)
	every(t, 500*time.Millisecond, forHowLong(20*time.Second), func(int) {
		at := s.now(t)
		r.loseNext()
		s.faults = append(s.faults, fault{from: at, to: at.Add(time.Second)})
	})
	s.requireRecovered(t, 15*time.Second)
	var again int
	for _, row := range s.verify(t) {
		if row.Attempt > 1 {
			again++
		}
	}
	require.Greater(t, r.lost, 20, "answers are lost, or this tests nothing")
	t.Logf("%d answers lost, %d runs counted a second attempt", r.lost, again)
}

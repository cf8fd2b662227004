//go:build chaos

package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// loadWithin is for how long the jobs of a load are created.
const loadWithin = 5 * time.Second

// load creates the jobs that give the rate: twice as many, of which 24 % fire each second, 36 % every two seconds and
// 40 % every five. It spreads them evenly over the longest interval, and so the instants at which they are due: at any
// moment some run is in flight.
func (s *system) load(t *testing.T) {
	t.Helper()
	began := time.Now()
	var creators errgroup.Group
	creators.SetLimit(8)
	pace := time.NewTicker(loadWithin / time.Duration(2**rate))
	defer pace.Stop()
	for n := range 2 * *rate {
		<-pace.C
		seconds := 5
		switch place := n % 50; {
		case place < 12:
			seconds = 1
		case place < 30:
			seconds = 2
		}
		i := s.instances[n%len(s.instances)]
		creators.Go(func() error {
			_, err := i.create(context.WithoutCancel(t.Context()), seconds, n)
			return err
		})
	}
	require.NoError(t, creators.Wait(), "jobs are created")
	t.Logf("%d jobs created in %v", 2**rate, time.Since(began).Round(time.Millisecond))
}

// create creates a job whose name tells the test's own queries its interval. An error says that it was not answered
// with success: then it may be there or not.
func (i *instance) create(ctx context.Context, seconds, n int) (uuid.UUID, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// Not by the generated type: what else a job may have is of no interest here.
	body, err := json.Marshal(map[string]any{
		"name": fmt.Sprintf("chaos-%d-%d", seconds, n), "intervalInSeconds": seconds, "payload": n,
		// One run for each occurrence, also for one that a row of faults has made later than a minute.
		"misfirePolicy": "FIRE_ALL",
	})
	if err != nil {
		return uuid.Nil, err
	}
	created, err := i.CreateJobWithBodyWithResponse(ctx, "application/json", strings.NewReader(string(body)))
	if err != nil {
		return uuid.Nil, err
	}
	if created.StatusCode() != http.StatusCreated {
		return uuid.Nil, fmt.Errorf("answered %d: %s", created.StatusCode(), created.Body)
	}
	if first := created.JSON201.CreatedAt.Add(time.Duration(seconds) * time.Second); !created.JSON201.NextRunAt.Equal(first) {
		return uuid.Nil, fmt.Errorf("first due at %v, not at %v", created.JSON201.NextRunAt, first)
	}
	return created.JSON201.Id, nil
}

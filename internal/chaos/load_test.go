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

// loadWithin is how long the creation of the jobs takes.
const loadWithin = 5 * time.Second

// load creates jobs that fire at the rate: twice as many jobs, of which 24 % fire every second, 36
// % every two seconds and 40 % every five. It spreads their creation evenly over the longest
// interval, and so their instants, so that at any moment some run is in flight.
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
	require.NoError(t, creators.Wait(), "all jobs are created")
	t.Logf("%d jobs created in %v", 2**rate, time.Since(began).Round(time.Millisecond))
}

// create creates a job whose name has its interval, for the queries of the tests. It returns an
// error unless the service answered with success; then the job may exist or not.
func (i *instance) create(ctx context.Context, seconds, n int) (uuid.UUID, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// Not the generated type, because the other fields of a job do not matter here.
	body, err := json.Marshal(map[string]any{
		"name": fmt.Sprintf("chaos-%d-%d", seconds, n), "intervalInSeconds": seconds, "payload": n,
		// One run for each occurrence, even if several faults in a row make it a minute late.
		"misfirePolicy": "FIRE_ALL",
	})
	if err != nil {
		return uuid.Nil, err
	}
	created, err := i.CreateJobWithBodyWithResponse(ctx, nil, "application/json", strings.NewReader(string(body)))
	if err != nil {
		return uuid.Nil, err
	}
	if created.StatusCode() != http.StatusCreated {
		return uuid.Nil, fmt.Errorf("answered %d: %s", created.StatusCode(), created.Body)
	}
	if first := created.JSON201.CreatedAt.Add(time.Duration(seconds) * time.Second); !created.JSON201.NextRunAt.Equal(first) {
		return uuid.Nil, fmt.Errorf("the job is first due at %v, not at %v", created.JSON201.NextRunAt, first)
	}
	return created.JSON201.Id, nil
}

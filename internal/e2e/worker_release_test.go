package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

func TestReleasedRun(t *testing.T) {
	t.Parallel()
	// It was leased in time, however late its worker gives it back.
	t.Run("was not missed", func(t *testing.T) {
		t.Parallel()
		for name, body := range map[string]string{
			"that is skipped when missed":     `,"misfirePolicy":"SKIP"`,
			"whose latest fires when missed":  `,"misfirePolicy":"FIRE_ONCE"`,
			"that is not caught up":           `,"misfirePolicy":"FIRE_ALL","catchupWindowSeconds":60`,
			"and was released more than once": `,"misfirePolicy":"SKIP","maxAttempts":1`,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				service, pool := setup(t)
				job := service.due(t, pool, queued+body)
				leased := service.leaseOne(t, "q")
				_, err := pool.Exec(t.Context(), `update due set scheduled_for = later(scheduled_for, -interval '1 hour'),
					ready_at = later(ready_at, -interval '1 hour'), started_at = later(started_at, -interval '1 hour')`)
				require.NoError(t, err)
				run := service.listRuns(t, job.Id)[0]
				leased.Id = run.Id
				for range 2 {
					service.release(t, leased)
					leased = service.leaseOne(t, "q")
					require.Equal(t, run.Id, leased.Id, "it is this very run that another worker gets")
					require.EqualValues(t, 1, leased.Attempt, "what was given back does not count")
				}
				service.complete(t, leased, "")
				require.Equal(t, client.RunStatusSUCCEEDED, service.readRun(t, run.Id).Status)
			})
		}
	})
	t.Run("obeys the group that its job has by then", func(t *testing.T) {
		t.Parallel()
		service, pool := setup(t)
		job := service.due(t, pool, queued)
		leased := service.leaseOne(t, "q")
		group := `{"target":{"type":"log"},"concurrencyGroup":"g","maxConcurrency":1}`
		require.Equal(t, 200, service.patch(t, job.Id, group).StatusCode())
		service.release(t, leased)
		require.Equal(t, 1, count(t, pool, `select count(*) from due where concurrency_group = 'default/=~g' and lease_id is null`),
			"it is claimed by turn with others of its group")
	})
	// Its job may have been given fewer attempts. Then it needs no worker any more.
	t.Run("ends if no attempt is left", func(t *testing.T) {
		t.Parallel()
		service, pool := setup(t)
		job := service.due(t, pool, queued+`,"maxAttempts":3,"minBackoffSeconds":0,"maxBackoffSeconds":0`)
		service.fail(t, service.leaseOne(t, "q"), `,"error":"first"`)
		leased := service.leaseOne(t, "q")
		require.EqualValues(t, 2, leased.Attempt)
		require.Equal(t, 200, service.patch(t, job.Id, `{"maxAttempts":1}`).StatusCode())
		service.release(t, leased)
		service.executes(t, 1)
		run := service.readRun(t, leased.Id)
		require.Equal(t, client.RunStatusFAILED, run.Status)
		require.EqualValues(t, 1, run.Attempt)
	})
}

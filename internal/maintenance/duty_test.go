package maintenance_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/maintenance"
)

func TestDutyIsDoneAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		began := time.Now()
		var at []time.Duration
		duty := maintenance.Duty{Name: "test", Every: time.Minute, Pass: func(context.Context) (maintenance.Result, error) {
			at = append(at, time.Since(began))
			switch len(at) {
			case 1:
				return maintenance.Result{Count: 1}, nil
			case 2:
				return maintenance.Result{Next: 7 * time.Second}, nil
			case 3:
				return maintenance.Result{}, errors.New("the database is away")
			case 4:
				return maintenance.Result{Next: 9 * time.Second}, errors.New("others are in the way")
			default:
				stop()
				return maintenance.Result{}, nil
			}
		}}
		duty.Run(ctx, slog.New(slog.DiscardHandler))
		require.Equal(t, []time.Duration{0, 60 * time.Second, 67 * time.Second, 68 * time.Second, 77 * time.Second}, at,
			"at once, as often as it is to be, when the pass says so, and soon after one that has failed and does not say")
	})
}

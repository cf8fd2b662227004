package traceid_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"punctual/internal/runid"
	"punctual/internal/traceid"
)

var run = uuid.MustParse("0199c7e0-74c0-7000-9d7e-3f1b2a4c5d6e")

// TestIDs pins the ids: links that people have kept lead by them, and instances of different
// versions meet in them.
func TestIDs(t *testing.T) {
	t.Parallel()
	// printf %s 0199c7e0-74c0-7000-9d7e-3f1b2a4c5d6e | sha256sum
	assert.Equal(t, "00-34d717560f5c70ad37782d0352630385-4c676bf0f0f28be7-01", traceid.Parent(traceid.OfRun(run)))
	// printf %s 0199c7e0-74c0-7000-9d7e-3f1b2a4c5d6e/7 | sha256sum
	assert.Equal(t, "00-34d717560f5c70ad37782d0352630385-20a9a551911effb7-01", traceid.Parent(traceid.OfAttempt(run, 7)))
	assert.NotEqual(t, traceid.OfAttempt(run, 7).SpanID(), traceid.OfAttempt(run, 8).SpanID())
}

func TestParentIsAsOthersReadIt(t *testing.T) {
	t.Parallel()
	for _, span := range []trace.SpanContext{traceid.OfRun(run), traceid.OfAttempt(run, 7).WithTraceFlags(0)} {
		ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": traceid.Parent(span)})
		read := trace.SpanContextFromContext(ctx)
		require.True(t, read.IsRemote())
		require.True(t, span.Equal(read.WithRemote(false)), "%v is read as %v", span, read)
	}
}

// TestSampling says that the runs of one job are sampled one by one, by the SDK's own sampler. With
// the ids of the runs for those of the traces, it would keep all of them or none.
func TestSampling(t *testing.T) {
	t.Parallel()
	const runs, ratio = 20_000, 0.25
	sampler := sdktrace.TraceIDRatioBased(ratio)
	job, err := uuid.NewV7()
	require.NoError(t, err)
	kept := 0
	for i := range runs {
		id := traceid.OfRun(runid.New(job, time.UnixMilli(1_700_000_000_000+int64(i)*1000))).TraceID()
		if sampler.ShouldSample(sdktrace.SamplingParameters{TraceID: id}).Decision == sdktrace.RecordAndSample {
			kept++
		}
	}
	assert.InDelta(t, ratio, float64(kept)/runs, 0.02)
}

package tracing_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"punctual/gen/db"
	"punctual/internal/runs"
	"punctual/internal/testdb/otlptest"
	"punctual/internal/traceid"
	"punctual/internal/tracing"
)

var (
	run = uuid.MustParse("0199c7e0-74c0-7000-9d7e-3f1b2a4c5d6e")
	at  = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
)

// begin returns a Tracing of this environment.
func begin(t *testing.T) *tracing.Tracing {
	t.Helper()
	traces, err := tracing.New(t.Context(), tracing.Config{Version: "v1", Instance: "me", Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(traces.Close)
	return traces
}

func TestOff(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"no endpoint": {"OTEL_SERVICE_NAME": "x"},
		"disabled":    {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1", "OTEL_SDK_DISABLED": "TRUE"},
		"no exporter": {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:1", "OTEL_TRACES_EXPORTER": "none"},
	} {
		t.Run(name, func(t *testing.T) {
			for variable, value := range env {
				t.Setenv(variable, value)
			}
			traces := begin(t)
			assert.Nil(t, traces)
			assert.Nil(t, traces.OfRuns(), "an interface without a value, which callers compare with nil")
			assert.Nil(t, traces.OfRequests())
			assert.Nil(t, traces.Statements())
		})
	}
}

func TestRefused(t *testing.T) {
	for variable, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "carrier-pigeon", "OTEL_TRACES_EXPORTER": "zipkin",
	} {
		t.Run(variable, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:1")
			t.Setenv(variable, value)
			_, err := tracing.New(t.Context(), tracing.Config{Logger: slog.New(slog.DiscardHandler)})
			require.ErrorContains(t, err, variable+` is "`+value+`"`)
		})
	}
}

// TestNobodyReceives says that what cannot be exported is logged, and stops nothing.
func TestNobodyReceives(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close()) // nobody listens at this port
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+listener.Addr().String())
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "100")
	var log bytes.Buffer
	traces, err := tracing.New(t.Context(), tracing.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	traces.OfRuns().Ended(&runs.Traced{RunID: run, IsOver: true, ScheduledFor: at, FinishedAt: at})
	traces.Close()
	assert.Contains(t, log.String(), "those spans are lost")
}

// spans is a collector that is spoken to by gRPC.
type spans struct {
	collector.UnimplementedTraceServiceServer
	received chan *collector.ExportTraceServiceRequest
}

func (s spans) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.received <- r
	return &collector.ExportTraceServiceResponse{}, nil
}

func TestGRPC(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server, s := grpc.NewServer(), spans{received: make(chan *collector.ExportTraceServiceRequest, 1)}
	collector.RegisterTraceServiceServer(server, s)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+listener.Addr().String())
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	traces := begin(t)
	traces.OfRuns().Ended(&runs.Traced{RunID: run, IsOver: true, ScheduledFor: at, FinishedAt: at})
	traces.Close()
	got := (<-s.received).GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0]
	assert.Equal(t, "run", got.GetName())
	id := traceid.OfRun(run).TraceID()
	assert.Equal(t, id[:], got.GetTraceId())
}

// TestRoot says when the root of a run begins, and with what it is linked.
func TestRoot(t *testing.T) {
	received := otlptest.Start(t)
	traces := begin(t)
	cause, started := uuid.MustParse("0199c7e0-74c0-7000-9d7e-3f1b2a4c5d6f"), at.Add(24*time.Hour)
	for i, row := range []struct {
		trigger db.RunTrigger
		started time.Time
		begins  time.Time
	}{
		{db.RunTriggerSCHEDULE, started, at},
		{db.RunTriggerBACKFILL, started, started},
		{db.RunTriggerBACKFILL, time.Time{}, started.Add(-time.Second)},
	} {
		id := run
		id[0] = byte(i)
		traces.OfRuns().Ended(&runs.Traced{
			RunID: id, Trigger: row.trigger, ScheduledFor: at, ClaimedAt: started.Add(-time.Second), StartedAt: row.started,
			FinishedAt: started.Add(time.Second), IsOver: true, Status: db.RunStatusSKIPPED, Reason: db.RunReasonMISFIRE, Causes: []uuid.UUID{cause},
		})
		root := received.Await(t, traceid.OfRun(id).TraceID().String(), "run")["run"]
		assert.WithinDuration(t, row.begins, root.Start, 0, "%s", row.trigger)
		assert.WithinDuration(t, started.Add(time.Second), root.End, 0)
		assert.Equal(t, "MISFIRE", root.Attributes["punctual.run.reason"])
		assert.False(t, root.IsError)
		assert.Equal(t, []string{traceid.OfRun(cause).TraceID().String()}, root.Links)
		assert.Equal(t, "v1", root.Resource["service.version"])
		assert.Equal(t, "me", root.Resource["service.instance.id"])
	}
}

// TestSampled says that the environment's sampler decides, by the id of the trace.
func TestSampled(t *testing.T) {
	otlptest.Start(t)
	t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
	t.Setenv("OTEL_TRACES_SAMPLER_ARG", "0.3")
	traces, sampled := begin(t).OfRuns(), 0
	for range 2000 {
		id := uuid.New()
		first, second := traces.IsSampled(id), traces.IsSampled(id)
		require.Equal(t, first, second, "each instance says the same")
		if first {
			sampled++
		}
	}
	assert.InDelta(t, 600, sampled, 120)
}

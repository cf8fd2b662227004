// Package tracing exports traces by OpenTelemetry: those of runs, and those of requests to the API
// with their statements. The environment variables OTEL_* say where to and how, as the SDK of
// OpenTelemetry reads them.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.39.0"
	"go.opentelemetry.io/otel/trace"

	"punctual/internal/logging"
	"punctual/internal/runs"
)

// scope names the instrumentation in each span.
const scope = "punctual"

const (
	// queueSize is how many spans may wait to be exported, and batchSize how many are exported
	// together, unless OTEL_BSP_MAX_QUEUE_SIZE and OTEL_BSP_MAX_EXPORT_BATCH_SIZE say so. The
	// defaults of the SDK are a quarter of that: a batch of runs that are stored together would
	// fill the queue, and what finds it full is lost.
	queueSize = 16384
	batchSize = 2048
)

// Config is what a Tracing needs besides the environment.
type Config struct {
	// Version is the version of the service, and Instance the id of this instance of it.
	Version, Instance string
	Logger            *slog.Logger
}

// Tracing exports traces. Make it with New. A nil Tracing exports none.
type Tracing struct {
	// requests makes spans of what happens in the course of a request, sampled as the environment
	// says.
	requests *sdktrace.TracerProvider
	runs     *ofRuns
	// keeping makes the spans of runs that are kept.
	keeping *sdktrace.TracerProvider
	log     *slog.Logger
}

// OfRequests returns what makes spans of what happens in the course of requests, or nil.
func (t *Tracing) OfRequests() trace.TracerProvider {
	if t == nil {
		return nil
	}
	return t.requests
}

// OfRuns returns what makes the traces of runs, or nil.
func (t *Tracing) OfRuns() runs.Tracer {
	if t == nil {
		return nil
	}
	return t.runs
}

// IsOn reports whether the environment says where to export traces to.
func IsOn() bool {
	endpoint := os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") + os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	return endpoint != "" && !strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") && os.Getenv("OTEL_TRACES_EXPORTER") != "none"
}

// New returns a Tracing, or nil if traces are off. An error names the variable that is wrong.
// Nothing waits for whoever receives the traces, who may be away.
func New(ctx context.Context, c Config) (*Tracing, error) {
	if !IsOn() {
		return nil, nil //nolint:nilnil // off is no error
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { c.Logger.Warn("traces", "error", err) }))
	client, err := newClient()
	if err != nil {
		return nil, err
	}
	exporter, err := otlptrace.New(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("export traces: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName("punctual"), semconv.ServiceVersion(c.Version), semconv.ServiceInstanceID(c.Instance)),
		resource.WithHost(), resource.WithTelemetrySDK(), resource.WithFromEnv(), // the environment's word counts
	)
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES or OTEL_SERVICE_NAME: %w", err)
	}
	batches := sdktrace.NewBatchSpanProcessor(&reporting{SpanExporter: exporter, outage: logging.Outage{
		Logger: c.Logger, Failing: "could not export traces; those spans are lost", Working: "traces are exported again",
	}}, batchOptions()...)
	provider := func(options ...sdktrace.TracerProviderOption) *sdktrace.TracerProvider {
		return sdktrace.NewTracerProvider(append(options, sdktrace.WithIDGenerator(generator{}), sdktrace.WithResource(about))...)
	}
	requests := provider(sdktrace.WithSpanProcessor(batches))
	deciding := provider()
	keeping := provider(sdktrace.WithSpanProcessor(batches), sdktrace.WithSampler(sdktrace.AlwaysSample()))
	return &Tracing{
		requests: requests, keeping: keeping, log: c.Logger,
		runs: &ofRuns{deciding: deciding.Tracer(scope), keeping: keeping.Tracer(scope)},
	}, nil
}

// newClient returns who sends the spans, in the protocol that the environment names.
func newClient() (otlptrace.Client, error) {
	if name := os.Getenv("OTEL_TRACES_EXPORTER"); name != "" && name != "otlp" {
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER is %q, which is neither otlp nor none", name)
	}
	variable := "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	if os.Getenv(variable) == "" {
		variable = "OTEL_EXPORTER_OTLP_PROTOCOL"
	}
	switch protocol := os.Getenv(variable); protocol {
	case "", "http/protobuf":
		return otlptracehttp.NewClient(), nil
	case "grpc":
		return otlptracegrpc.NewClient(), nil
	default:
		return nil, fmt.Errorf("%s is %q, which is neither http/protobuf nor grpc", variable, protocol)
	}
}

// batchOptions are the defaults that differ from those of the SDK, which would overrule the
// environment.
func batchOptions() (options []sdktrace.BatchSpanProcessorOption) {
	if os.Getenv("OTEL_BSP_MAX_QUEUE_SIZE") == "" {
		options = append(options, sdktrace.WithMaxQueueSize(queueSize))
	}
	if os.Getenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE") == "" {
		options = append(options, sdktrace.WithMaxExportBatchSize(batchSize))
	}
	return options
}

// closeWithin bounds exporting what is left when the instance stops.
const closeWithin = 5 * time.Second

// Close exports what is left, for a few seconds. Spans that cannot be exported until then are lost,
// which is logged: it is no reason for the instance to fail.
func (t *Tracing) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	if err := errors.Join(t.requests.Shutdown(ctx), t.keeping.Shutdown(ctx)); err != nil {
		t.log.Warn("could not export the last traces; those spans are lost", "error", err)
	}
}

// reporting logs when spans cannot be exported, and when they can again. The SDK calls it from one
// goroutine at a time.
type reporting struct {
	sdktrace.SpanExporter
	outage logging.Outage
}

// ExportSpans exports spans. It never fails: the SDK would only log the error.
func (r *reporting) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := r.SpanExporter.ExportSpans(ctx, spans); err != nil {
		r.outage.Failed(ctx, err)
	} else {
		r.outage.Worked(ctx)
	}
	return nil
}

// Package otlptest receives traces as a collector of OpenTelemetry does, for tests.
package otlptest

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Span is a span that was received. Ids are in hexadecimal.
type Span struct {
	Name, TraceID, ID, Parent string
	Start, End                time.Time
	IsError                   bool
	Message                   string
	Attributes, Resource      map[string]string
	// Links are the ids of the traces that it is linked with.
	Links []string
}

// Receiver is a server that keeps what it receives.
type Receiver struct {
	URL string

	mu    sync.Mutex
	spans []Span
}

// Start starts a receiver that ends with the test, and makes the environment send traces there,
// without waiting for long. So the test cannot be parallel.
func Start(t *testing.T) *Receiver {
	t.Helper()
	r := &Receiver{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if !assert.Equal(t, "/v1/traces", q.URL.Path) || !assert.NoError(t, r.receive(q)) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/x-protobuf") // the empty message
	}))
	t.Cleanup(server.Close)
	r.URL = server.URL
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
	return r
}

// receive keeps the spans of a request.
func (r *Receiver) receive(q *http.Request) error {
	body := io.Reader(q.Body)
	if q.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			return err
		}
		body = unzipped
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var batch collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(content, &batch); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range batch.GetResourceSpans() {
		about := texts(resource.GetResource().GetAttributes())
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				r.spans = append(r.spans, decode(span, about))
			}
		}
	}
	return nil
}

func decode(span *otlp.Span, resource map[string]string) Span {
	s := Span{
		Name: span.GetName(), TraceID: hex.EncodeToString(span.GetTraceId()), ID: hex.EncodeToString(span.GetSpanId()),
		Parent: hex.EncodeToString(span.GetParentSpanId()),
		Start:  time.Unix(0, int64(span.GetStartTimeUnixNano())), End: time.Unix(0, int64(span.GetEndTimeUnixNano())),
		IsError: span.GetStatus().GetCode() == otlp.Status_STATUS_CODE_ERROR, Message: span.GetStatus().GetMessage(),
		Attributes: texts(span.GetAttributes()), Resource: resource,
	}
	for _, link := range span.GetLinks() {
		s.Links = append(s.Links, hex.EncodeToString(link.GetTraceId()))
	}
	return s
}

// texts returns attributes with their values as texts.
func texts(attributes []*common.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range attributes {
		switch value := a.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			all[a.GetKey()] = value.StringValue
		default:
			all[a.GetKey()] = a.GetValue().String()
		}
	}
	return all
}

// Spans returns what was received of a trace until now, in the order of time.
func (r *Receiver) Spans(traceID string) (of []Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, span := range r.spans {
		if span.TraceID == traceID {
			of = append(of, span)
		}
	}
	slices.SortStableFunc(of, func(a, b Span) int { return a.Start.Compare(b.Start) })
	return of
}

// Len returns how many spans were received until now.
func (r *Receiver) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.spans)
}

// Await waits until spans with these names, in any order, were received of a trace, and returns
// them by name. Of several with one name it returns the last.
func (r *Receiver) Await(t *testing.T, traceID string, names ...string) map[string]Span {
	t.Helper()
	slices.Sort(names)
	byName := map[string]Span{}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		var received []string
		for _, span := range r.Spans(traceID) {
			received = append(received, span.Name)
			byName[span.Name] = span
		}
		slices.Sort(received)
		assert.Equal(c, names, received, "the spans of trace %s", traceID)
	}, 30*time.Second, 10*time.Millisecond)
	return byName
}

package api

import (
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/google/uuid"

	"punctual/internal/access"
	"punctual/internal/inprocess"
	"punctual/internal/logging"
)

const requestIDHeader = "X-Request-Id"

// acceptableRequestID matches ids of clients that are harmless in a log and in a header.
var acceptableRequestID = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

type requestKey struct{}

// request is what is known of a request. Who makes it is filled in by authenticate, and pattern by
// patternOf.
type request struct {
	id, actor, namespace, pattern string
	// isHead says that the answer has no body.
	isHead bool
}

// withRequestID gives each request an id: that of the client, or else a new one. The id is in the
// headers of the response, in problems, and in each log line.
func withRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(requestIDHeader)
		if !acceptableRequestID.MatchString(id) {
			id = uuid.NewString()
		}
		w.Header().Set(requestIDHeader, id)
		ctx := context.WithValue(r.Context(), requestKey{}, &request{id: id})
		next.ServeHTTP(w, r.WithContext(logging.With(ctx, slog.String("requestId", id))))
	})
}

// requestOf returns what is known of the request of a context. It is empty if there is no request.
func requestOf(ctx context.Context) *request {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r
	}
	return &request{}
}

func requestID(ctx context.Context) string { return requestOf(ctx).id }

// patternOf returns the path of the contract that a request was routed to. chi puts it together
// anew whenever it is asked.
func patternOf(r *http.Request) string {
	known := requestOf(r.Context())
	if known.pattern == "" {
		known.pattern = chi.RouteContext(r.Context()).RoutePattern()
	}
	return known.pattern
}

// withCaller returns a request that carries its caller, whom the log names, too.
func withCaller(r *http.Request, caller access.Caller) *http.Request {
	known := requestOf(r.Context())
	caller.RequestID = known.id
	known.actor, known.namespace = caller.Actor, caller.Namespace
	return r.WithContext(access.With(r.Context(), caller))
}

// logRequests logs each request, without its query and body, which may contain secrets. Probes are
// logged at DEBUG only, because there are many of them, and so are the requests that a page
// consists of. If there is a meter, it measures them, by the operations' names.
func logRequests(log *slog.Logger, meter Meter, operations map[string]string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			begun := time.Now()
			ended := func(string, int) {}
			if meter != nil {
				ended = meter.Begin()
			}
			answer := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
			defer func() {
				level := slog.LevelInfo
				if r.URL.Path == "/livez" || r.URL.Path == "/readyz" || r.URL.Path == metricsPath ||
					strings.HasPrefix(r.URL.Path, "/assets/") || inprocess.Is(r.Context()) {
					level = slog.LevelDebug
				}
				known := requestOf(r.Context())
				ended(operations[withoutHead(r.Method)+" "+known.pattern], answer.Status())
				log.LogAttrs(r.Context(), level, "request", slog.String("method", r.Method), slog.String("path", r.URL.Path),
					slog.Int("status", answer.Status()), slog.Int("bytes", answer.BytesWritten()),
					slog.Duration("duration", time.Since(begun)), slog.String("actor", known.actor),
					slog.String("namespace", known.namespace))
			}()
			next.ServeHTTP(answer, r)
		})
	}
}

// withoutHead returns the method by which a request is routed: HEAD as GET.
func withoutHead(method string) string {
	if method == http.MethodHead {
		return http.MethodGet
	}
	return method
}

package api

import (
	"log/slog"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"

	"punctual/internal/access"
	"punctual/internal/ratelimit"
)

// metricsPath is where Prometheus looks for metrics. It is not in the contract: what it answers is
// for Prometheus, and what there is depends on the instance.
const metricsPath = "/metrics"

// Meter measures requests.
type Meter interface {
	// Begin is called when a request arrives. What it returns is called when the request is
	// answered, with the operation of the contract, if it has one, and the status, or 0 if the
	// client has gone before.
	Begin() (ended func(operation string, status int))
}

// mountMetrics serves the metrics: to everybody if they are open, otherwise to callers who are not
// bound to one namespace and have the scope.
func mountMetrics(r chi.Router, c Config, attempts *ratelimit.Attempts, errs errorWriter) {
	if c.Metrics == nil {
		return
	}
	if !c.OpenMetrics {
		r = r.With(authenticate(c.Authenticator, attempts, nil, errs), limitRate(limitOfKey, errs), mayReadMetrics(errs))
	}
	r.Get(metricsPath, c.Metrics.ServeHTTP)
}

func mayReadMetrics(errs errorWriter) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch caller := access.From(r.Context()); {
			case !caller.IsServiceWide:
				errs.write(w, problem(r.Context(), serviceWideRequired, ""))
			case !caller.May(access.MetricsRead):
				errs.failed(w, r, errScope(access.MetricsRead))
			default:
				next.ServeHTTP(w, r)
			}
		})
	}
}

// MetricsOnly returns a handler that serves metrics and nothing else, to everybody. If isLocal, it
// is reached only by loopback names and allowed names: see Config.
func MetricsOnly(metrics http.Handler, isLocal bool, allowedHosts []string, log *slog.Logger) http.Handler {
	errs := errorWriter{log}
	root := chi.NewRouter()
	root.Use(withRequestID, logRequests(log, nil, nil), errs.recoverPanic, secureHeaders, answerHead, paceBodies)
	if isLocal {
		root.Use(protectOpen(allowedHosts, errs))
	}
	root.NotFound(errs.notFound)
	root.MethodNotAllowed(errs.methodNotAllowed)
	root.Get(metricsPath, metrics.ServeHTTP)
	return root
}

// operationIDs has the name of each operation, by method and path as chi routes them.
func operationIDs(spec *openapi3.T) map[string]string {
	ids := map[string]string{}
	for path, item := range spec.Paths.Map() {
		for method, operation := range item.Operations() {
			ids[method+" "+path] = operation.OperationID
		}
	}
	return ids
}

// Package api serves the HTTP contract of openapi.yaml: thin handlers over the generated strict
// interface.
package api

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/trace"

	"punctual/gen/db"
	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/broker"
	"punctual/internal/calendars"
	"punctual/internal/connections"
	"punctual/internal/database"
	"punctual/internal/eventstream"
	"punctual/internal/idempotency"
	"punctual/internal/jobs"
	"punctual/internal/keys"
	"punctual/internal/namespaces"
	"punctual/internal/ratelimit"
	"punctual/internal/signer"
	"punctual/internal/stats"
)

// Cell is what serves the requests about the namespaces of one cell (internal/cells).
type Cell struct {
	// Pool should have limits in time, so that a slow statement is an answer of 503.
	Pool *pgxpool.Pool
	// Queues hands runs to workers.
	Queues *broker.Broker
	// Jobs makes every change of a job.
	Jobs *jobs.Service
	// Connections changes the services that http targets call.
	Connections *connections.Service
	// Calendars changes the days that jobs leave out.
	Calendars *calendars.Service
	// Stats reads how many runs have ended.
	Stats *stats.Reader
	// Idempotency remembers requests that may be repeated.
	Idempotency *idempotency.Service
	// Replica answers lists and statistics. Nil: there is none.
	Replica *Replica
}

// isComplete reports whether nothing is missing.
func (c Cell) isComplete() bool {
	return c.Pool != nil && c.Queues != nil && c.Jobs != nil && c.Connections != nil && c.Calendars != nil && c.Stats != nil && c.Idempotency != nil
}

// Config is what the API needs. Zero means default, except for the Cell, Signer, Keys, Namespaces,
// Known and Events. With HealthOnly, only Pool is required.
type Config struct {
	// Cell is the first one.
	Cell
	// Others returns another cell by its name, and all of them if the name is empty. Default: there
	// are none.
	Others func(name string) []*Cell
	Logger *slog.Logger
	// Check returns an error unless the database can be used: see database.Check. Default: it uses
	// Pool.
	Check func(context.Context) error
	// Events is where what happens is followed.
	Events *eventstream.Hub
	// Signer knows the keys that verify the tokens of connections.
	Signer *signer.Signer
	// Keys makes, shows and revokes keys.
	Keys *keys.Service
	// Namespaces changes namespaces, and Known has their limits.
	Namespaces *namespaces.Service
	Known      *namespaces.Cache
	// Authenticator finds out who makes a request by the key or access token. Nil: nobody needs
	// one, and everybody may do everything who reaches the service by a loopback name or by one of
	// AllowedHosts.
	Authenticator *access.Authenticator
	AllowedHosts  []string
	// Stopping is closed when the instance is about to stop: from then on it says that it is not
	// ready.
	Stopping <-chan struct{}
	// Version is the version of the service, for the served contract.
	Version string
	// MaxInFlight is how many requests are served at a time; others get 503. Workers that wait do
	// not count, nor those who follow events. Default: 1000.
	MaxInFlight int
	// AuthFailuresPerMinute is how many credentials that are not valid an address may send in a
	// minute. Default: 600.
	AuthFailuresPerMinute int
	// Traces makes spans of requests. Nil: there are no traces.
	Traces trace.TracerProvider
	// Metrics serves the metrics of the instance. Nil: nothing does. OpenMetrics is whether they
	// are for everybody who reaches the service; otherwise only a caller who is not bound to one
	// namespace gets them, with the scope metrics:read.
	Metrics     http.Handler
	OpenMetrics bool
	// Meter measures requests. Nil: nobody does.
	Meter Meter
	// HealthOnly serves nothing but /livez, /readyz and the metrics.
	HealthOnly bool
	// Pages makes the dashboard. Nil: there is none.
	Pages NewPages
}

// handlers implements the generated interface for one cell, one file for each noun.
type handlers struct {
	Config
	queries *db.Queries
	// first has the queries of the first cell, and others the handlers of the others.
	first  *db.Queries
	others *cellHandlers
}

var _ server.StrictServerInterface = (*handlers)(nil)

// New returns the handler of everything that this service serves over HTTP. It returns an error if
// something required is missing, or if the embedded spec is broken.
func New(c Config) (http.Handler, error) {
	if c.Pool == nil || !c.HealthOnly && (!c.isComplete() || c.Signer == nil || c.Keys == nil || c.Namespaces == nil || c.Known == nil || c.Events == nil) {
		return nil, errors.New("api: a complete Cell, Signer, Keys, Namespaces, Known and Events are required")
	}
	c.Logger = cmp.Or(c.Logger, slog.Default())
	c.MaxInFlight = cmp.Or(c.MaxInFlight, 1000)
	c.AuthFailuresPerMinute = cmp.Or(c.AuthFailuresPerMinute, 600)
	if c.Check == nil {
		c.Check = func(ctx context.Context) error { return database.Check(ctx, db.New(c.Pool)) }
	}
	spec, err := readSpec()
	if err != nil {
		return nil, err
	}
	scopes, err := scopesOf(spec)
	if err != nil {
		return nil, err
	}
	public := publicOf(spec)
	errs := errorWriter{c.Logger}
	s := &handlers{Config: c, queries: db.New(c.Pool), first: db.New(c.Pool)}
	s.others = newCellHandlers(s, spec, errs)
	strict := s.strict(errs)

	attempts := ratelimit.NewAttempts(c.AuthFailuresPerMinute)
	root := chi.NewRouter()
	root.Use(withRequestID)
	if c.Traces != nil {
		root.Use(traceRequests(c.Traces))
	}
	root.Use(logRequests(c.Logger, c.Meter, operationIDs(spec)), errs.recoverPanic, secureHeaders, answerHead, paceBodies)
	if c.Authenticator == nil {
		root.Use(protectOpen(c.AllowedHosts, errs))
	}
	if !c.HealthOnly {
		root.Use(keepToMethods(spec, errs))
	}
	root.NotFound(errs.notFound)
	root.MethodNotAllowed(errs.methodNotAllowed)
	mountMetrics(root, c, attempts, errs)
	root.Group(func(r chi.Router) {
		r.Use(unlessOpen(scopes, chi.Chain(
			authenticate(c.Authenticator, attempts, public, errs), limitRate(limitOfKey, errs),
			inNamespace(c.Known, errs), limitRate(limitOfNamespace, errs),
		).Handler))
		r.Use(authorize(scopes, public, errs), forServiceWide(spec, errs), checkQuery(spec, errs), checkBody(spec, errs))
		r.Use(unlessOpen(scopes, boundInFlight(c.MaxInFlight, errs)), validate(spec, errs), s.others.inCell, s.idempotent(spec, errs))
		if c.HealthOnly {
			health := server.ServerInterfaceWrapper{Handler: strict, ErrorHandlerFunc: errs.invalid}
			r.Get("/livez", health.GetLiveness)
			r.Get("/readyz", health.GetReadiness)
			return
		}
		server.HandlerWithOptions(strict, server.ChiServerOptions{BaseRouter: r, ErrorHandlerFunc: errs.invalid})
	})
	if c.HealthOnly {
		return root, nil
	}
	mountDocs(root, c.Version, errs)
	return root, mountPages(root, c.Pages, errs)
}

// Package ui is the dashboard: pages for people, made of what the API answers. It is a client of
// the contract, with the rights of whoever looks at a page, and has no other way to the data.
package ui

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/go-chi/chi/v5/middleware"

	"punctual/gen/client"
)

// Config is what the dashboard needs. API is required.
type Config struct {
	// API sends requests to the API.
	API http.RoundTripper
	// Unknown answers who asks for a path that there is not, and not for a page. Default: a page
	// does.
	Unknown http.HandlerFunc
	Logger  *slog.Logger
	// Version is the version of the service.
	Version string
	// Sessions stores who is signed in. Nil: the API asks nobody who they are.
	Sessions scs.Store
	// SessionLifetime is how long somebody stays signed in. Default: 12 hours.
	SessionLifetime time.Duration
	// Provider signs people in with their accounts. Without an issuer, only keys do.
	Provider Provider
	// PublicURL is where browsers reach the service. Default: what they ask for.
	PublicURL string
	// TraceURLTemplate is where people see a trace, with TraceIDPlace in it. Default: traces are not
	// linked.
	TraceURLTemplate string
}

// TraceIDPlace stands for the id of a trace in a TraceURLTemplate.
const TraceIDPlace = "{traceId}"

// dashboard serves the pages.
type dashboard struct {
	Config
	api      *client.Client
	sessions sessions
	provider *provider
}

// pages are the handlers of all pages and forms, by method and path.
var pages = map[string]func(*page) error{
	"GET /{$}":       showHome,
	"GET /live":      live,
	"GET /instances": listInstances,

	"GET /runs":              listRuns,
	"GET /runs/bulk":         confirmBulk,
	"POST /runs/bulk":        changeManyRuns,
	"GET /runs/{id}":         showRun,
	"POST /runs/{id}/retry":  retryRun,
	"POST /runs/{id}/cancel": cancelRun,

	"GET /jobs":                 listJobs,
	"GET /jobs/{id}":            showJob,
	"GET /jobs/{id}/stats":      showJobStats,
	"GET /jobs/{id}/versions":   listVersions,
	"GET /jobs/{id}/pause":      ask(nil, showPause),
	"POST /jobs/{id}/pause":     answer(pauseJob, showPause),
	"GET /jobs/{id}/run":        ask(payloadField, showRunWith),
	"POST /jobs/{id}/run":       answer(runWith, showRunWith),
	"GET /jobs/{id}/backfill":   ask(nil, showBackfill),
	"POST /jobs/{id}/backfill":  answer(backfill, showBackfill),
	"GET /jobs/{id}/delete":     ask(versionField, showDelete),
	"POST /jobs/{id}/delete":    answer(deleteJob, showDelete),
	"GET /jobs/new":             newJob,
	"POST /jobs/new":            createJob,
	"POST /jobs/preview":        showPreview,
	"GET /jobs/{id}/edit":       editJob,
	"POST /jobs/{id}/edit":      saveJob,
	"GET /jobs/bulk":            askBulk,
	"POST /jobs/bulk":           doBulk,
	"POST /jobs/{id}/run-now":   runNow,
	"POST /jobs/{id}/pause-now": pauseNow,
	"POST /jobs/{id}/resume":    resumeNow,

	"GET /queues":                       listQueues,
	"GET /connections":                  listConnections,
	"POST /connections":                 createConnection,
	"GET /connections/{key}":            showConnection,
	"GET /connections/{key}/edit":       editConnection,
	"POST /connections/{key}/edit":      changeConnection,
	"POST /connections/{key}/delete":    deleteConnection,
	"GET /calendars":                    listCalendars,
	"POST /calendars":                   createCalendar,
	"GET /calendars/{key}":              showCalendar,
	"GET /calendars/{key}/edit":         editCalendar,
	"POST /calendars/{key}/edit":        replaceCalendar,
	"POST /calendars/{key}/delete":      deleteCalendar,
	"GET /audit":                        listAudit,
	"GET /keys":                         listKeys,
	"POST /keys":                        createKey,
	"POST /keys/{id}/revoke":            revokeKey,
	"GET /namespaces":                   listNamespaces,
	"GET /namespace-choices":            offerNamespaces,
	"POST /namespaces":                  createNamespace,
	"GET /namespaces/{name}":            showNamespace,
	"POST /namespaces/{name}":           changeNamespace,
	"POST /namespaces/{name}/suspend":   suspendNamespace,
	"POST /namespaces/{name}/blackouts": changeBlackouts,
	"POST /namespaces/{name}/delete":    deleteNamespace,
}

// openPages are those for people who are not signed in.
var openPages = map[string]func(*page) error{
	"POST /preferences":     savePreferences,
	"GET /sign-in":          showSignIn,
	"POST /sign-in":         signInByKey,
	"GET /sign-in/provider": goToProvider,
	"GET /sign-in/returned": returnFromProvider,
	"POST /sign-out":        signOut,
}

// New returns the handler of the dashboard. It serves every path, and says of those that it does
// not know that there is nothing.
func New(c Config) (http.Handler, error) {
	if c.API == nil {
		return nil, errors.New("ui: API is required")
	}
	c.Logger = cmp.Or(c.Logger, slog.Default())
	// The name of the service stands for the Host of each request: see page.identify.
	api, err := client.NewClient("http://punctual", client.WithHTTPClient(&http.Client{Transport: c.API}))
	if err != nil {
		return nil, err
	}
	c.SessionLifetime = cmp.Or(c.SessionLifetime, 12*time.Hour)
	d := &dashboard{Config: c, api: api, provider: newProvider(c.Provider)}
	d.sessions = d.newSessions()
	mux := http.NewServeMux()
	for pattern, show := range pages {
		mux.Handle(pattern, d.load(d.serve(show)))
	}
	for pattern, show := range openPages {
		mux.Handle(pattern, d.load(d.serveOpen(show)))
	}
	mux.Handle("/", d.unlessPage(d.load(d.serve(notFound))))
	mux.HandleFunc("GET "+assetsPath, serveAsset)
	handler := middleware.Compress(5, "text/html")(boundForms(mux))
	return pageHeaders(d.refuseCrossOrigin(handler)), nil
}

// unlessPage leaves requests to Unknown that do not ask for a page.
func (d *dashboard) unlessPage(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.Unknown != nil && !strings.Contains(r.Header.Get("Accept"), "text/html") {
			d.Unknown(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

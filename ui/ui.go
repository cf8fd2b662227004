// Package ui is the dashboard: pages for people, made of what the API answers. It is a client of
// the contract, with the rights of whoever looks at a page, and has no other way to the data.
package ui

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5/middleware"

	"punctual/gen/client"
)

// Config is what the dashboard needs. API is required.
type Config struct {
	// API sends requests to the API.
	API    http.RoundTripper
	Logger *slog.Logger
	// Version is the version of the service.
	Version string
}

// dashboard serves the pages.
type dashboard struct {
	Config
	api *client.Client
}

// pages are the handlers of all pages and forms, by method and path.
var pages = map[string]func(*page) error{
	"GET /{$}":               showHome,
	"GET /instances":         listInstances,
	"POST /preferences":      savePreferences,
	"GET /queues":            listQueues,
	"GET /runs":              listRuns,
	"GET /runs/bulk":         confirmBulk,
	"POST /runs/bulk":        changeManyRuns,
	"GET /runs/{id}":         showRun,
	"POST /runs/{id}/retry":  retryRun,
	"POST /runs/{id}/cancel": cancelRun,

	"GET /jobs":                 listJobs,
	"GET /jobs/bulk":            askBulk,
	"POST /jobs/bulk":           doBulk,
	"POST /jobs/{id}/run-now":   runNow,
	"POST /jobs/{id}/pause-now": pauseNow,
	"POST /jobs/{id}/resume":    resumeNow,
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
	d := &dashboard{Config: c, api: api}
	mux := http.NewServeMux()
	for pattern, show := range pages {
		mux.Handle(pattern, d.serve(show))
	}
	mux.Handle("/", d.serve(notFound))
	mux.HandleFunc("GET "+assetsPath, serveAsset)
	handler := middleware.Compress(5, "text/html")(mux)
	return pageHeaders(d.refuseCrossOrigin(handler)), nil
}

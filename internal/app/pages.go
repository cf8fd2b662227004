package app

import (
	"net/http"

	"punctual/ui"
)

// newPages returns the dashboard, which asks the API through a transport.
func (a *App) newPages(toAPI http.RoundTripper) (http.Handler, error) {
	return ui.New(ui.Config{API: toAPI, Logger: a.log, Version: Version()})
}

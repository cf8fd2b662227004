package api

import (
	"fmt"
	"net/http"
	"sync"

	"github.com/go-chi/chi/v5"
	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"

	"punctual"
)

// mountDocs serves the contract as YAML and as JSON, and Swagger UI, whose assets are in the
// binary. version is that of the service.
func mountDocs(r chi.Router, version string, errs errorWriter) {
	// Made when somebody asks for it, so that no start waits for it.
	specJSON := sync.OnceValues(func() ([]byte, error) { return contractJSON(punctual.OpenAPI, version) })
	ui := v5emb.NewWithConfig(swgui.Config{
		SettingsUI: map[string]string{
			"tryItOutEnabled": "true",
			"filter":          "true",
			// Shows the scope that each operation needs.
			"showExtensions": "true",
			// Shows the list of schemas below the operations.
			"defaultModelsExpandDepth": "0",
			// The page must not ask another host, and the online validator is one.
			"validatorUrl": "null",
		},
	})
	docs := notFoundAsProblem(pageHeaders(ui("Punctual", "/openapi.json", "/docs"), "/docs"), errs).ServeHTTP
	r.Get("/docs", docs)
	r.Get("/docs/*", docs)
	r.Get("/openapi.json", func(w http.ResponseWriter, r *http.Request) {
		content, err := specJSON()
		if err != nil {
			errs.failed(w, r, fmt.Errorf("convert the contract to JSON: %w", err))
			return
		}
		serve("application/json", content)(w, r)
	})
	r.Get("/openapi.yaml", serve("application/yaml", punctual.OpenAPI))
}

func serve(contentType string, content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(content) // an error means that the client has gone
	}
}

package api

import (
	"fmt"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"

	"punctual"
)

// mountDocs serves the contract as YAML and as JSON, and Swagger UI, whose assets are in the
// binary. version is that of the service.
func mountDocs(r chi.Router, version string, errs errorWriter) error {
	specJSON, err := contractJSON(punctual.OpenAPI, version)
	if err != nil {
		return fmt.Errorf("convert the contract to JSON: %w", err)
	}
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
	r.Get("/openapi.json", serve("application/json", specJSON))
	r.Get("/openapi.yaml", serve("application/yaml", punctual.OpenAPI))
	return nil
}

func serve(contentType string, content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(content) // an error means that the client has gone
	}
}

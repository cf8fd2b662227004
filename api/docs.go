package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"

	"punctual"
)

// mountDocs serves the contract, and Swagger UI on it with all that needs from the binary.
func mountDocs(r chi.Router, specJSON []byte) {
	ui := v5emb.NewWithConfig(swgui.Config{
		// Nothing on the page may ask another host: no online validator.
		SettingsUI: map[string]string{"tryItOutEnabled": "true", "validatorUrl": "null"},
	})
	r.Mount("/docs", ui("Punctual", "/openapi.json", "/docs"))
	r.Get("/openapi.json", serve("application/json", specJSON))
	r.Get("/openapi.yaml", serve("application/yaml", punctual.OpenAPI))
}

func serve(contentType string, content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(content) // an error means the client has gone
	}
}

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"punctual"
)

// TestServedContract checks the documents from which clients are generated.
func TestServedContract(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	mediaType, asYAML := fetch(t, service.url+"/openapi.yaml")
	require.Equal(t, "application/yaml", mediaType)
	mediaType, asJSON := fetch(t, service.url+"/openapi.json")
	require.Equal(t, "application/json", mediaType)
	spec, err := openapi3.NewLoader().LoadFromData(asJSON)
	require.NoError(t, err)

	t.Run("the YAML is the file", func(t *testing.T) {
		t.Parallel()
		require.True(t, bytes.Equal(punctual.OpenAPI, asYAML), "byte for byte")
	})
	t.Run("the JSON says the same, in the same order", func(t *testing.T) {
		t.Parallel()
		var document yaml.Node
		require.NoError(t, yaml.Unmarshal(asYAML, &document))
		want := yamlTokens(document.Content[0])
		got := jsonTokens(t, asJSON)
		for i, token := range got {
			if token == "x-service-version" {
				assert.NotEmpty(t, got[i+1])
				got = append(got[:i], got[i+2:]...)
				break
			}
		}
		require.Equal(t, want, got)
	})
	t.Run("nothing in it is for our own generator", func(t *testing.T) {
		t.Parallel()
		require.NotContains(t, string(asJSON), `"x-go-`)
	})
	t.Run("it is a valid document, examples included", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, spec.Validate(t.Context(), openapi3.EnableExamplesValidation()))
	})
	t.Run("responses may gain fields", func(t *testing.T) {
		t.Parallel()
		for _, op := range operations(spec) {
			for status, response := range op.Responses.Map() {
				for _, media := range response.Value.Content {
					walkSchema(media.Schema, func(at string, s *openapi3.Schema) {
						closed := s.AdditionalProperties.Has
						assert.True(t, closed == nil || *closed, "%s %s %s", op.OperationID, status, at)
					})
				}
			}
		}
	})
	t.Run("requests may not have unknown fields", func(t *testing.T) {
		t.Parallel()
		for _, op := range operations(spec) {
			// A worker's report is not refused for its form.
			if media := op.body(); media != nil && !op.isReport() {
				closed := media.Schema.Value.AdditionalProperties.Has
				assert.True(t, closed != nil && !*closed, op.OperationID)
			}
		}
	})
	t.Run("what may be null has a type and allows null as a value", func(t *testing.T) {
		t.Parallel()
		for name, schema := range spec.Components.Schemas {
			walkSchema(schema, func(at string, s *openapi3.Schema) {
				if !s.Nullable {
					return
				}
				assert.NotNil(t, s.Type, "%s%s", name, at)
				assert.Empty(t, s.AllOf, "%s%s: null has to match each part", name, at)
				if len(s.Enum) > 0 {
					assert.Contains(t, s.Enum, any(nil), "%s%s", name, at)
				}
			})
		}
	})
	t.Run("each error response has examples of its own", func(t *testing.T) {
		t.Parallel()
		for _, op := range operations(spec) {
			for code, response := range op.Responses.Map() {
				media := response.Value.Content.Get("application/problem+json")
				if media == nil {
					continue
				}
				assert.NotEmpty(t, media.Examples, "%s %s", op.OperationID, code)
				for name, example := range media.Examples {
					problem := example.Value.Value.(map[string]any)
					status := int(problem["status"].(float64))
					assert.Equal(t, code, textOf(problem["status"]), "%s %s", op.OperationID, name)
					assert.Equal(t, http.StatusText(status), problem["title"], "%s %s", op.OperationID, name)
				}
			}
		}
	})
}

// operations are all operations of a contract.
func operations(spec *openapi3.T) (all []*operation) {
	for _, path := range spec.Paths.InMatchingOrder() {
		item := spec.Paths.Value(path)
		for method, op := range item.Operations() {
			all = append(all, &operation{Operation: op, method: method, path: path, item: item})
		}
	}
	return all
}

// walkSchema visits a schema and all schemas in it. No schema of the contract contains itself.
func walkSchema(ref *openapi3.SchemaRef, visit func(at string, s *openapi3.Schema)) {
	var walk func(at string, ref *openapi3.SchemaRef)
	walk = func(at string, ref *openapi3.SchemaRef) {
		if ref == nil {
			return
		}
		visit(at, ref.Value)
		for name, property := range ref.Value.Properties {
			walk(at+"."+name, property)
		}
		for _, variant := range append(ref.Value.OneOf, ref.Value.AllOf...) {
			walk(at, variant)
		}
		walk(at+"[]", ref.Value.Items)
		walk(at+".*", ref.Value.AdditionalProperties.Schema)
	}
	walk("", ref)
}

// yamlTokens are the names and values of a document, in their order.
func yamlTokens(node *yaml.Node) (tokens []string) {
	if node.Kind == yaml.ScalarNode {
		if node.Tag == "!!null" {
			return []string{"null"}
		}
		return []string{node.Value}
	}
	for _, child := range node.Content {
		tokens = append(tokens, yamlTokens(child)...)
	}
	return tokens
}

// jsonTokens are the same of JSON.
func jsonTokens(t *testing.T, document []byte) (tokens []string) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return tokens
		}
		require.NoError(t, err)
		switch v := token.(type) {
		case json.Delim:
		case nil:
			tokens = append(tokens, "null")
		default:
			tokens = append(tokens, textOf(v))
		}
	}
}

# What developers and CI call. `make help` lists it.

SQLC         := go tool -modfile=tools/generate/go.mod sqlc
OAPI_CODEGEN := go tool -modfile=tools/generate/go.mod oapi-codegen

.PHONY: generate
generate: ## Generate gen/ from openapi.yaml and sql/.
	$(OAPI_CODEGEN) -config oapi-codegen.yaml openapi.yaml
	$(OAPI_CODEGEN) -generate types,client -package client -o gen/client/client.gen.go openapi.yaml
	$(SQLC) generate

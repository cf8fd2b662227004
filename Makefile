# What developers and CI call. `make` lists it.

# Each tool is pinned in a module of its own, so that go.mod holds only what the service and its tests import.
SQLC         := go tool -modfile=tools/generate/go.mod sqlc
OAPI_CODEGEN := go tool -modfile=tools/generate/go.mod oapi-codegen
LINT         := go tool -modfile=tools/lint/go.mod golangci-lint
GOVULNCHECK  := go tool -modfile=tools/lint/go.mod govulncheck
TEMPL        := go tool -modfile=tools/generate/go.mod templ
OASDIFF      := go tool -modfile=tools/contract/go.mod oasdiff

# Starts a PostgreSQL for the tests, says which one, stops it after them, and lists the tests that were skipped because
# the machine lacks a program.
WITH_DATABASE := go run ./internal/testdb/testserver --

# The race detector needs a C compiler.
RACE := $(shell command -v $$(go env CC) >/dev/null && echo -race)

# Tests wait more than they compute, so more of a package run at once than there are cores.
GO_TEST := go test -parallel 4 -timeout 30m

.PHONY: help
help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "%-12s %s\n", $$1, $$2 }'

.PHONY: run
run: ## Run the service on http://localhost:3000, with the built-in PostgreSQL unless DATABASE_URL is set.
	go build -o bin/punctual ./cmd/punctual
	@echo 'Open http://localhost:3000. The log says where the data is. Press Ctrl-C to stop.'
	exec bin/punctual serve --embedded

.PHONY: generate
generate: ## Generate gen/ from openapi.yaml and sql/, and the code of the templates in ui/.
	$(OAPI_CODEGEN) -config oapi-codegen.yaml openapi.yaml
	$(OAPI_CODEGEN) -config gen/client/oapi-codegen.yaml openapi.yaml
	go run ./tools/queries
	$(SQLC) generate
	$(TEMPL) generate -path ui -log-level warn
	go run ./tools/jobschema

.PHONY: test
test: ## Run all tests, with the race detector if there is a C compiler.
	$(WITH_DATABASE) $(GO_TEST) $(RACE) ./...

.PHONY: e2e
e2e: ## Run the tests of the service as a whole; ARGS holds flags.
	$(WITH_DATABASE) $(GO_TEST) $(RACE) $(ARGS) ./internal/e2e

.PHONY: screenshots
screenshots: ## Make the pictures of docs/screenshots. Needs Chromium.
	$(WITH_DATABASE) go test -count=1 -tags screenshots -run TestScreenshots ./internal/e2e

.PHONY: soak
soak: ## Run a thousand jobs every second on three instances for a minute, and look for gaps.
	$(WITH_DATABASE) go test $(RACE) -tags soak -run TestSoak -v ./internal/e2e

.PHONY: bench
bench: ## Compare the service with River and with its bare SQL statements; ARGS holds flags.
	go build -o bin/bench ./bench
	cd bench/river && go build -o ../../bin/bench-river .
	bin/bench --river=bin/bench-river --json=bin/bench.json $(ARGS)

.PHONY: bench-short
bench-short: ## Run a short selection of the benchmarks, without River.
	go build -o bin/bench ./bench
	bin/bench --only=drain,bare,workers,lateness,http,api,workers-idle,workers-latency,idle,slow-clients,claim-cost \
		--rounds=1 --jobs=20000 --settle=2s --lateness-jobs=10000 --lateness-for=8s --http-for=2s --api-for=1s \
		--waiting-workers=1000 --workers-for=2s --slow-for=5s --idle-connections=1000 --slow-connections=100 \
		--idle-jobs=10000 --idle-for=15s --stored=10000,30000 --claims=6 --long-runs=1000 --oldest-for=5s

.PHONY: chaos
chaos: ## Kill, stop and disconnect instances and PostgreSQL under load, and look for lost or doubled runs.
	go test -count=1 -tags chaos -v -timeout 20m ./internal/chaos

.PHONY: chaos-full
chaos-full: ## Run the chaos tests for three minutes each.
	go test -count=1 -tags chaos -v -timeout 1h ./internal/chaos -chaos.full

.PHONY: citus
citus: ## Run the tests of the service on the Citus cluster whose coordinator TEST_CITUS_URL names.
	@test -n "$$TEST_CITUS_URL" || { echo "TEST_CITUS_URL names no cluster"; exit 1; }
	$(GO_TEST) -count=1 -short ./internal/e2e
	go test -count=1 -tags chaos -v -timeout 20m -run TestCitus ./internal/chaos

# The contract of the last release. The commit that makes a release copies openapi.yaml there, since a clone may have no tags.
RELEASED := tools/contract/released.yaml

# levels.txt says where our rules differ from oasdiff's. Clients have to accept new enum values and wider bounds in a
# response, because most schemas are shared with requests and could never grow otherwise. Optional properties of a
# response and defaults of a request must not change. Warnings count as failures: the service refuses unknown properties
# and parameters, so removing one breaks the clients that send it.
.PHONY: breaking
breaking: ## Fail if openapi.yaml would break clients of the last release.
ifeq ($(wildcard $(RELEASED)),)
	@echo "no release yet, so nothing to break: there is no $(RELEASED)"
else
	$(OASDIFF) breaking --fail-on WARN --severity-levels tools/contract/levels.txt \
		--err-ignore tools/contract/intended.txt --flatten-allof --allow-external-refs=false $(RELEASED) openapi.yaml
endif

.PHONY: contract
contract: ## Lint openapi.yaml, and use the clients that common generators make of it. Needs Node.js.
	cd tools/contract && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	cd tools/contract && REDOCLY_TELEMETRY=off npm run lint && npm run build
	cd tools/contract/ogen && go generate . && go vet .
	$(WITH_DATABASE) go test -tags contract -run 'TestGeneratedClients|TestValidatingProxy' -v ./internal/e2e

.PHONY: format
format: ## Format the code.
	$(LINT) fmt

.PHONY: lint
lint: ## Check style and architecture.
	$(LINT) run

.PHONY: vuln
vuln: ## Look for known vulnerabilities in the dependencies.
	$(GOVULNCHECK) ./...

# What developers and CI call. `make` lists it.

# Each tool is pinned in a module of its own, so that go.mod holds what the service needs and nothing else.
SQLC         := go tool -modfile=tools/generate/go.mod sqlc
OAPI_CODEGEN := go tool -modfile=tools/generate/go.mod oapi-codegen
LINT         := go tool -modfile=tools/lint/go.mod golangci-lint
GOVULNCHECK  := go tool -modfile=tools/lint/go.mod govulncheck
OASDIFF      := go tool -modfile=tools/contract/go.mod oasdiff

# Starts a PostgreSQL for the tests, says which, and stops it when they have ended.
WITH_DATABASE := go run ./internal/testdb/testserver --

.PHONY: help
help: ## List what there is.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "%-12s %s\n", $$1, $$2 }'

.PHONY: run
run: ## Run the service on http://localhost:3000, with a PostgreSQL of its own unless DATABASE_URL names one.
	go build -o bin/punctual ./cmd/punctual
	exec bin/punctual serve

.PHONY: generate
generate: ## Generate gen/ from openapi.yaml and sql/.
	$(OAPI_CODEGEN) -config oapi-codegen.yaml openapi.yaml
	$(OAPI_CODEGEN) -config gen/client/oapi-codegen.yaml openapi.yaml
	$(SQLC) generate

.PHONY: test
test: ## Run all tests, with the race detector.
	$(WITH_DATABASE) go test -race ./...

.PHONY: e2e
e2e: ## Run the tests of the service as a whole.
	$(WITH_DATABASE) go test -race ./internal/e2e

.PHONY: soak
soak: ## Run a thousand jobs each second on three instances for a minute, and look for gaps.
	$(WITH_DATABASE) go test -race -tags soak -run TestThousandJobsForAMinute -v ./internal/e2e

.PHONY: bench
bench: ## Measure the service beside River and beside its bare statements; ARGS has flags.
	go build -o bin/bench ./bench
	cd bench/river && go build -o ../../bin/bench-river .
	bin/bench --river=bin/bench-river --json=bin/bench.json $(ARGS)

.PHONY: bench-short
bench-short: ## The same in about a minute, without River.
	go build -o bin/bench ./bench
	bin/bench --only=drain,bare,lateness,http,workers-idle,workers-latency,idle,claim-cost \
		--rounds=1 --jobs=20000 --settle=2s --lateness-jobs=10000 --lateness-for=8s --http-for=2s \
		--workers-for=2s --idle-jobs=10000 --idle-for=15s --stored=10000,30000 --claims=6 --long-runs=1000 --oldest-for=5s

.PHONY: chaos
chaos: ## Kill, stop and cut off instances and PostgreSQL under load, and look for runs lost or doubled.
	go test -count=1 -tags chaos -v -timeout 20m ./internal/chaos

.PHONY: chaos-full
chaos-full: ## The same, three minutes of each.
	go test -count=1 -tags chaos -v -timeout 1h ./internal/chaos -chaos.full

# The contract of the last release, copied from openapi.yaml by the commit that releases it: a clone may have no tags.
RELEASED := tools/contract/released.yaml

# levels.txt says where we differ from oasdiff. Clients have to bear values and bounds that are new in an answer: most
# schemas are a request's too, and nothing could be added to them. What an answer may leave out still has to stay, and so
# have the defaults of what a request leaves out. Warnings count: the service refuses properties and parameters it does
# not know, so the removal of one breaks those who send it.
.PHONY: breaking
breaking: ## Fail when openapi.yaml would break clients of the last release.
ifeq ($(wildcard $(RELEASED)),)
	@echo "no release yet, so nothing to break: there is no $(RELEASED)"
else
	$(OASDIFF) breaking --fail-on WARN --severity-levels tools/contract/levels.txt \
		--flatten-allof --allow-external-refs=false $(RELEASED) openapi.yaml
endif

.PHONY: format
format: ## Format the code.
	$(LINT) fmt

.PHONY: lint
lint: ## Check style and architecture.
	$(LINT) run

.PHONY: vuln
vuln: ## Look for known vulnerabilities in what is used.
	$(GOVULNCHECK) ./...

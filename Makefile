# Muster: who may enter, and as what. `make` lists what there is.
# PostgreSQL and a C compiler are installed where they are missing; MUSTER_NO_INSTALL=1 declines.

GO      ?= go
PACKAGE ?= ./...
# One PostgreSQL cluster for all test binaries of a run. Two packages at a time leave it the rest.
TEST     = $(GO) run ./internal/localpg/testcluster $(GO) test -p 2
DEMO     = bin/muster run-demo
COVERAGE = $(CURDIR)/bin/coverage.txt

.DEFAULT_GOAL := help
.PHONY: help run test coverage check bench soak fuzz build lint format clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## show the main job on real input: two directories pushed, roles, sign-ins
	@scripts/setup postgres
	@$(DEMO)

test: ## every test, on real PostgreSQL, with the race detector (PACKAGE=./internal/scim for one)
	@scripts/setup postgres cc
	@mkdir -p bin
	MUSTER_COVERAGE=$(COVERAGE) $(TEST) -race $(PACKAGE)
	@cat $(COVERAGE) 2>/dev/null || true

coverage: ## which rows of the checklist and which quirks a test shows, and which none
	@$(MAKE) --no-print-directory test PACKAGE="-run ^TestConformance ./internal/server"

check: lint test ## what must hold before a commit: lint, then test

lint: ## formatting, vet, staticcheck, tidy modules, import policy
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt -w" $$unformatted; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) mod tidy -diff
	$(GO) test ./internal

bench: ## speed, beside raw PostgreSQL in the same run, fsync on (ONLY=create; ONLY="first sync"; PEOPLE=1000000)
	@scripts/setup postgres
	$(GO) run ./internal/bench -only "$(ONLY)" -people $(or $(PEOPLE),5000)

soak: ## the concurrent tests, over and over (FOR=10 times), then every fuzz target for ten minutes (FUZZ=10m)
	@scripts/setup postgres cc
	$(TEST) -race -timeout 0 -count $(or $(FOR),10) -run 'Concurrent|NoStale|Lost|Killed|OneWinner|Unknown|Publish' $(PACKAGE)
	@GO="$(GO)" scripts/fuzz $(or $(FUZZ),10m)

fuzz: ## each fuzz target for a minute (FOR=60s); what was executed goes to conformance/TRACK_RECORD.md
	@scripts/setup postgres
	@GO="$(GO)" scripts/fuzz $(or $(FOR),60s)

build: ## bin/muster
	$(GO) build -o bin/ ./cmd/muster

format: ## gofmt
	gofmt -w .

clean: ## remove what was built
	rm -rf bin

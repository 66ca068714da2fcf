# Ambit. Needs Go and git; everything else is fetched by Go itself, but for the databases of the tests (scripts/databases.sh).

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X github.com/ambit-authz/ambit/internal/cli.Version=$(VERSION)
TOOLS   := $(CURDIR)/.tools

MODELS  ?= 100000
LISTEN  ?= 127.0.0.1:8010

# Packages in which goroutines share memory; the race detector costs too much elsewhere. Left out there: comparisons that
# run in one goroutine for minutes, limits on time and memory, and the killing of other processes. Random properties have fewer rounds.
RACE      := ./internal/engine/... ./internal/store/... ./internal/decide/... ./internal/manage/... ./internal/server/... \
             ./internal/token/... ./internal/audit/... ./internal/api/... ./internal/app/... ./internal/agree/... ./client
RACE_SKIP := ^(TestAllEndpointsAgree|TestArchiveBomb|TestStreamMemory|TestBulkIsStreamed|TestPermitOfManyPairs|TestRandomAgainstOPA|TestRandomAgainstReference|TestIncrementalEqualsRebuilt|TestManyRows|TestKill|TestImpactOfManyPairs|TestAssetTemplateListIsQuick|TestEveryTestCanFail|TestUsersOfEveryLine|TestEveryWrite|TestCorpus|TestCountsAreQuick|TestSQLSelectsTheList|TestRenamesKeepDecisions)$$

.PHONY: help run build test agree race bench bench-full fuzz lint generate release clean

help: ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 14

run: build ## build Ambit and start it with the sample bank
	./bin/ambit demo --listen $(LISTEN) --env-file bin/demo.env

build: ## build bin/ambit
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ambit ./cmd/ambit

test: ## vet and test everything; installs the database servers that tests start
	scripts/databases.sh
	$(GO) vet ./...
	$(GO) test -count=1 ./internal/archtest
	$(GO) test -timeout 15m ./...
	$(GO) test -count=1 -tags mariadb -run MariaDB ./internal/engine/sqltext
	@if [ -f bench/go.mod ]; then echo "cd bench && $(GO) test ./..."; cd bench && $(GO) test -timeout 10m ./...; fi

agree: ## ask every endpoint in MODELS random states of an environment, 100,000 if not told; minutes
	scripts/databases.sh
	AMBIT_MODELS=$(MODELS) $(GO) test -count=1 -v -timeout 30m -run '^TestAllEndpointsAgree$$' ./internal/agree

race: ## test the concurrent packages with the race detector
	scripts/databases.sh
	AMBIT_CHECKS=300 AMBIT_COMPARISONS=2000 $(GO) test -race -short -timeout 15m -skip '$(RACE_SKIP)' $(RACE)

bench: ## the small workloads beside their peers, a few minutes
	cd bench && GOFLAGS=-mod=mod $(GO) run ./report

bench-full: ## up to 1,000,000 assets, upload and restart, watches
	cd bench && GOFLAGS=-mod=mod $(GO) run ./report -full
	cd bench && GOFLAGS=-mod=mod $(GO) run ./load
	cd bench && GOFLAGS=-mod=mod $(GO) run ./management -full
	cd bench && GOFLAGS=-mod=mod $(GO) run ./live

fuzz: ## every fuzz target, FUZZFACTOR times its usual number of executions
	scripts/fuzz.sh

lint: ## formatting, static analysis, known vulnerabilities
	TOOLS=$(TOOLS) scripts/lint.sh

generate: ## regenerate generated files
	$(GO) generate ./...
	$(GO) run ./docs/requirements

release: ## binaries for all platforms, with checksums, in dist/
	VERSION=$(VERSION) LDFLAGS='$(LDFLAGS)' scripts/release.sh

clean: ## remove what the other targets made
	rm -rf bin dist .tools

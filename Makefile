# `make` shows what there is to do. CI runs the same targets (.ci/run).
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LINTER := $(GO) tool -modfile=.ci/tools/go.mod golangci-lint
# One server for the tests of all packages.
SERVE := $(GO) run ./testing/pgtest/serve
# Packages to test, and further arguments of go test and the measurements: make test PKG=./notify/... ARGS='-run Listener'
PKG ?= ./...
ARGS ?=
# Major versions of PostgreSQL for test-matrix: make test-matrix PG='13 18'
PG ?= 13 14 15 16 17 18

.PHONY: help
help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: build postgres ## build, then watch a backfill on a private PostgreSQL survive a pause and a kill -9
	bin/bbmd demo

.PHONY: build
build: ## build bin/bbmd, a static program
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o bin/bbmd ./cmd/bbmd

.PHONY: test
test: programs ## run all tests, with the race detector, on a private PostgreSQL
	$(SERVE) $(GO) test -race -timeout 30m $(ARGS) $(PKG)

# Without the race detector: between the versions nothing differs but the server.
.PHONY: test-matrix
test-matrix: programs ## run all tests on every supported version of PostgreSQL, which it gets itself
	$(GO) run ./testing/matrix $(PG) -- $(GO) test -timeout 30m $(ARGS) $(PKG)

.PHONY: browser-test
browser-test: postgres ## test the dashboard in a real Chromium, which it installs where it may
	@$(GO) run ./testing/need/provide chromium
	BBMD_BROWSER_TESTS=1 $(SERVE) $(GO) test -run Browser $(ARGS) ./internal/dashboard

.PHONY: lint
lint: ## check style, mistakes and who imports whom
	$(LINTER) run
	$(GO) mod tidy -diff
	$(GO) -C testing/bench/peers vet .

.PHONY: fmt
fmt: ## format the code as lint wants it
	$(LINTER) fmt

.PHONY: bench
bench: build peers postgres ## measure beside bare PostgreSQL, River, goose and others (about twelve minutes)
	$(GO) run ./testing/bench/cmd/bench -bbmd bin/bbmd -peers bin/bench-peers $(ARGS)

.PHONY: bench-quick
bench-quick: build peers postgres ## the same in two minutes, and less exact
	@$(GO) -C testing/bench/peers test .
	$(GO) run ./testing/bench/cmd/bench -bbmd bin/bbmd -peers bin/bench-peers -quick $(ARGS)

.PHONY: bench-scale
bench-scale: build postgres ## measure at size: 30 million rows, 3 million jobs, 10,000 migrations, 50 databases (about a quarter of an hour, 12 GB of disk)
	$(GO) run ./testing/bench/cmd/bench -bbmd bin/bbmd -scale $(ARGS)

# A module of its own: what bbmd is measured beside is nobody else's dependency.
.PHONY: peers
peers:
	@$(GO) -C testing/bench/peers build -o $(CURDIR)/bin/bench-peers .

.PHONY: chaos
chaos: build postgres ## kill everything at random for long, and check that every row is processed exactly once
	$(SERVE) $(GO) test -race -v -timeout 60m ./testing/chaos -long $(ARGS)

# A directory with scripts that build, start and stop a Kubernetes of one node, without Docker: env.sh, build.sh, start.sh, stop.sh,
# mkimage.py. It needs root, and a quarter of an hour the first time.
KUBE_RIG ?= ../shared/kube-rig

.PHONY: kube-test
kube-test: build postgres ## run the tests of deploy/ on a real Kubernetes, which is built the first time
	@test -x $(KUBE_RIG)/build.sh || { echo "there are no scripts for a Kubernetes in $(KUBE_RIG): set KUBE_RIG to their directory (docs/kubernetes.md)" >&2; exit 2; }
	@(. $(KUBE_RIG)/env.sh && test -x "$$BIN/kube-apiserver" -a -x "$$BIN/helm") || WITH_HELM=1 $(KUBE_RIG)/build.sh
	BBMD_KUBE_RIG=$(abspath $(KUBE_RIG)) $(GO) test -v -count=1 -timeout 25m -parallel 4 $(ARGS) ./testing/kube

.PHONY: postgres
postgres: ## make sure that there is a PostgreSQL server to run: found, installed, or fetched
	@$(GO) run ./internal/pgserver/provide

# Behind postgres, so that no two of them install something at the same time.
.PHONY: programs
programs: postgres ## make sure that what else the tests run is there: found, installed, or built
	@$(GO) list -m all >/dev/null # tests build other modules beside this one, and ask nobody then
	@$(GO) run ./testing/need/provide
	@$(GO) -C .ci/render run . path >/dev/null
	@$(GO) -C testing/manifests/strict build -o /dev/null .
	@$(GO) -C testing/manifests/strict run .

.PHONY: vuln
vuln: ## look for known vulnerabilities, in the database of vuln.go.dev or GOVULNDB (.ci/vuln ends with 3 where neither can be reached)
	@.ci/vuln

.PHONY: sbom
sbom: ## write bin/bbmd.cdx.json, what the program is made of (CycloneDX), and check the licences
	@mkdir -p bin
	$(GO) tool -modfile=.ci/security/go.mod cyclonedx-gomod app -json -licenses -std -noserial -main cmd/bbmd -output bin/bbmd.cdx.json .
	@$(GO) -C .ci/security run ./licences <bin/bbmd.cdx.json

.PHONY: reproducible
reproducible: ## build what is committed twice, in other directories and from nothing, and compare the bytes
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; commit=$$(git rev-parse HEAD); \
	for at in one another/place; do \
		mkdir -p "$$dir/$$at"; git archive "$$commit" | tar -x -C "$$dir/$$at"; \
		GOCACHE="$$dir/cache-$${at%%/*}" $(MAKE) --no-print-directory -C "$$dir/$$at" build VERSION=$(VERSION); \
	done; \
	sha256sum "$$dir"/one/bin/bbmd "$$dir"/another/place/bin/bbmd; \
	cmp "$$dir/one/bin/bbmd" "$$dir/another/place/bin/bbmd" && echo "the same bytes"

.PHONY: tools
tools: ## build the linter, which takes minutes the first time
	$(LINTER) version

.PHONY: clean
clean: ## remove what was built
	rm -rf bin

# Everything here needs Go and Node.js with npm, and nothing else: the tools are Go modules pinned in go.mod, and the
# PostgreSQL and ClickHouse servers are npm packages pinned in resources/devstack. test-race needs a C compiler as well.

GO       ?= go
ARGS     ?=
FUZZTIME ?= 5s
POSTGRES ?= 14 15 16 17 18
TIMEOUT  ?= 15m

# Packages whose tests ask for servers; these are what another version of Postgres may break.
server_packages = $(sort ./internal/devstack/devtest/ $(dir $(shell grep -rl --include='*_test.go' internal/devstack/devtest .)))

.DEFAULT_GOAL := help
.PHONY: help demo build test test-race test-postgres-matrix bench bench-quick fuzz lint fmt clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 22

demo: build ## replicate sample data between real servers, with a live load
	@./bin/penstock demo $(ARGS)

build: ## build the static binary bin/penstock
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/penstock ./cmd/penstock

test: lint ## check, fuzz briefly and test everything, as CI does
	@$(MAKE) --no-print-directory fuzz
	$(GO) test -p 2 -timeout $(TIMEOUT) ./...

test-race: ## test everything with the race detector
	$(GO) test -race -p 2 -timeout $(TIMEOUT) ./...

test-postgres-matrix: ## test against every supported version of Postgres: POSTGRES="14 18" for some
	@set -e; for version in $(POSTGRES); do \
		echo "PostgreSQL $$version"; \
		PENSTOCK_TEST_POSTGRES=$$version $(GO) test -count 1 -p 2 -timeout $(TIMEOUT) $(server_packages); \
	done

bench: ## compare with other ways from Postgres to ClickHouse: ARGS="-list" tells what there is
	$(GO) run ./bench $(ARGS)

bench-quick: ## the same in a few minutes: one snapshot and one backlog
	$(GO) run ./bench -quick $(ARGS)

# go test -fuzz takes one target of one package at a time.
fuzz: ## fuzz each target for FUZZTIME (5s): FUZZTIME=5m for a real hunt
	@set -e; grep -r --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]*' . | while IFS=: read -r file target; do \
		echo "fuzzing $${target#func } in $$(dirname $$file)"; \
		$(GO) test -run '^$$' -fuzz "^$${target#func }\$$" -fuzztime $(FUZZTIME) "$$(dirname $$file)" </dev/null; \
	done

lint: ## check the format and what vet and staticcheck find
	@unformatted=$$($(GO) tool gofumpt -l .) && if [ -n "$$unformatted" ]; then \
		echo "not formatted (make fmt):"; echo "$$unformatted"; exit 1; \
	fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

fmt: ## format the source
	$(GO) tool gofumpt -l -w .

clean: ## remove what build and demo leave in the tree
	rm -rf bin penstock-state

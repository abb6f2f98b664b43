# What people do with Roost, one line each. `make help` lists it.
# Variables given to make reach the server: make run WS_PORT=9081

.PHONY: help run build test quick repeat deps check fuzz soak faults docs client picture release release-check module-path bench bench-full clean

help: ## Print this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

run: ## Run the demo: the server, a Redis inside it, and a user who listens (needs Go only); TLS=1: with wss:// too
	@echo 'Building bin/roost, with a Redis inside: a few minutes the first time, since all of it is compiled; seconds from then on.'
	@go build -tags demo -o bin/roost ./cmd/roost
	@bin/roost demo $(if $(TLS),--tls)

build: ## Build bin/roost
	@go build -o bin/roost ./cmd/roost

test: ## Check the code and run all tests with the race detector (make deps comes first)
	@scripts/test.sh

quick: ## What half a minute shows, for the time between two changes
	@scripts/test.sh quick

repeat: ## Run all tests again and again, to find those that fail once in many times; make repeat RUNS=20 AT_A_TIME=4
	@scripts/repeat.sh $(or $(RUNS),20) $(or $(AT_A_TIME),1)

deps: ## Install what the tests use in addition to Go: redis-server, gcc, nginx, haproxy; make deps ALL=1 for browsers and the like too
	@scripts/deps.sh $(if $(ALL),--all)

check: ## Only the checks that run nothing: gofmt, vet, staticcheck, shellcheck
	@scripts/check.sh

fuzz: ## Fuzz each fuzz target, for 1m or what FUZZTIME says
	@scripts/fuzz.sh $(or $(FUZZTIME),1m)

soak: ## Everything at once, for 5m or what SOAKTIME says: abusive clients, Redis killed, nothing may be lost
	@scripts/soak $(or $(SOAKTIME),5m)

faults: ## Every fault of Redis, sixty rounds in four minutes, and the table in docs/reliability.md: nothing may be lost without a word
	@scripts/faults

docs: ## Write docs/configuration.md and the table of docs/metrics.md, from the code
	@go run ./cmd/roost/internal/configdoc > docs/.configuration.md && mv docs/.configuration.md docs/configuration.md
	@WRITE_DOCS=true go test -count=1 -timeout 2m -run '^TestOperationsMetrics$$' ./cmd/roost/internal/e2e/docs

client: ## Pack the client for pages: bin/roost-client-….tgz, for npm install (needs npm)
	@mkdir -p bin && cd client && npm pack --silent --pack-destination ../bin >/dev/null && ls ../bin/roost-client-*.tgz | sed 's|^../||'

picture: ## Take docs/console.png, of a server with 8,000 connections and five minutes of traffic (needs Chromium; leave the machine alone)
	@CONSOLE_PICTURE="$(CURDIR)/docs/console.png" CONSOLE_PICTURE_AFTER=5m go test -count=1 -timeout 15m -run '^TestConsolePicture$$' ./cmd/roost/internal/e2e/browsers

release: ## Build bin/release/VERSION from a clean checkout: archives, Debian packages, a container image, checksums; make release VERSION=v0.9.0
	@scripts/release.sh "$(VERSION)"

release-check: ## Build a release of HEAD twice, compare the bytes, and try what came out
	@scripts/release-check.sh

module-path: ## Give the module the path of its repository, for go install; make module-path MODULE=example.com/org/roost
	@scripts/module-path.sh "$(MODULE)"

bench: ## Measure Roost beside other servers and write docs/benchmarks.md: 50 minutes at most, nothing else running
	@scripts/deps.sh
	@scripts/bench/run.sh

bench-full: ## The same with 100,000 and 200,000 connections too: 10 minutes more
	@scripts/deps.sh
	@scripts/bench/run.sh --full

clean: ## Remove what was built
	@rm -rf bin docs/.configuration.md

# Everything here needs Go alone, but for lint, which builds the linter that
# .ci/tools pins on first use (about two minutes, then kept in Go's build cache),
# and witness, which needs tcpdump.

GO ?= go

# Further flags for go test, as in: make test TESTFLAGS='-run Decoder -v'
TESTFLAGS ?=
# How long each fuzz target runs.
FUZZTIME ?= 30s
# Which benchmarks run, and how often each.
BENCH ?= .
COUNT ?= 1

# A build knows its version from the module and commit that Go stamps into it.
# A build where Go stamps none (an archive of the sources, -buildvcs=false) is
# told both: from git where there is one, else on the command line, as in
# make build VERSION=v1.2.3 COMMIT=…
VERSION ?= $(shell git describe --tags --exact-match --dirty 2>/dev/null)
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null)$(CHANGED)
# What git knows of that was changed since.
CHANGED = $(shell git rev-parse HEAD >/dev/null 2>&1 && ! git diff --quiet HEAD -- $(SOURCES) go.mod go.sum && echo +dirty)
LDFLAGS = -X github.com/sseload/sseload/pkg/cli.buildVersion=$(VERSION) \
	-X github.com/sseload/sseload/pkg/cli.buildCommit=$(COMMIT)

SOURCES = $(wildcard cmd pkg scenarios testserver)
LINT = $(GO) tool -modfile=.ci/tools/go.mod golangci-lint

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: ## build bin/sseload
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/sseload

.PHONY: test
test: ## run the tests, with the race detector where it works
	@if $(GO) build -race runtime/race runtime/cgo >/dev/null 2>&1; then \
		echo "race detector: on"; race=-race; \
	else \
		echo "race detector: off, it needs a C compiler and a platform that has it"; race=; \
	fi; \
	set -x; $(GO) test $$race -shuffle=on $(TESTFLAGS) ./...

# Under the race detector memory and allocations are not what they are: the tests
# of these packages that hold the budgets leave themselves out there.
.PHONY: budgets
budgets: ## run the tests of memory and allocations, which the race detector rules out
	$(GO) test -shuffle=on ./pkg/sse ./pkg/stream/... ./testserver

.PHONY: lint
lint: ## run the linters of .golangci.yml
	$(LINT) run ./...

# The linter is built for this system and told of the others. What is unused
# differs between them, and so does which exception is needed; and elsewhere
# gopsutil starts programs, for which contextcheck wants a context that a reading
# of a few milliseconds does not have.
.PHONY: lint-cross
lint-cross: ## run the linters over what other systems compile
	@linter=$$($(GO) tool -n -modfile=.ci/tools/go.mod golangci-lint) || exit 1; \
	for os in linux darwin windows; do \
		[ "$$os" != "$$($(GO) env GOHOSTOS)" ] || continue; \
		echo "lint for $$os"; \
		CGO_ENABLED=0 GOOS=$$os "$$linter" run --disable unused,nolintlint,contextcheck ./... || exit 1; \
	done

.PHONY: fmt
fmt: ## format the sources
	gofmt -w $(SOURCES)

.PHONY: fmt-check
fmt-check: ## list sources that are not formatted
	@unformatted=$$(gofmt -l $(SOURCES)) || exit 1; \
	if [ -n "$$unformatted" ]; then \
		echo "not formatted, run make fmt:"; echo "$$unformatted"; exit 1; \
	fi

.PHONY: vet
vet: ## run go vet
	$(GO) vet ./...

.PHONY: cross
cross: ## build and vet for the other systems
	@for os in linux darwin windows; do \
		echo "build and vet for $$os"; \
		CGO_ENABLED=0 GOOS=$$os $(GO) build ./... || exit 1; \
		CGO_ENABLED=0 GOOS=$$os $(GO) vet ./... || exit 1; \
	done

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME
	@GO='$(GO)' FUZZTIME='$(FUZZTIME)' sh .ci/fuzz

.PHONY: microbench
microbench: ## run the packages' benchmarks, BENCH of them, COUNT times
	$(GO) test -run='^$$' -bench='$(BENCH)' -benchmem -count=$(COUNT) ./...

# Seven minutes on a machine that should do nothing else. BENCHFLAGS=-h lists what
# there is, BENCHFLAGS='-run rooms' measures a part, and BENCHFLAGS=-no-write leaves
# results/bench as it is.
BENCHFLAGS ?=
.PHONY: bench
bench: build ## hold sseload against the least that a client must do, and against its budgets
	$(GO) build -trimpath -o bin/ ./cmd/floor
	$(GO) run ./cmd/bench $(if $(filter-out go,$(GO)),-go '$(GO)') $(BENCHFLAGS)

# Both tables of the 2014 findings, with their second between iterations: about
# eight minutes on a machine that should do nothing else.
.PHONY: findings
findings: build ## measure the tables of the findings anew, into results/
	bin/sseload run findings

# A minute on a machine that should do nothing else. It needs tcpdump, and
# leave to capture: root, or CAP_NET_RAW. WITNESSFLAGS=-h lists what there is, and
# WITNESSFLAGS=-no-write leaves results/witness as it is.
WITNESSFLAGS ?=
.PHONY: witness
witness: build ## check the reported latencies against the packets of the runs
	$(GO) run ./cmd/witness $(WITNESSFLAGS)

# Four minutes on a machine that should do nothing else; it needs Node.
.PHONY: proofs
proofs: build ## make the proofs of docs/measurement.md anew, into results/
	.ci/proofs

# Three minutes on a machine that should do nothing else. SERVERSFLAGS=-h lists what
# there is, and SERVERSFLAGS=-no-write leaves results/servers as it is.
SERVERSFLAGS ?=
.PHONY: servers
servers: build ## compare the reference server with two others, into results/
	$(GO) build -trimpath -o bin/ ./testserver/peer
	$(GO) run ./cmd/bench servers $(SERVERSFLAGS)

# Four minutes on a machine that should do nothing else. TRANSPORTSFLAGS=-h lists what
# there is, and TRANSPORTSFLAGS=-no-write leaves results/transports as it is.
TRANSPORTSFLAGS ?=
.PHONY: transports
transports: build ## measure what a client costs over HTTP/1.1, 2 and 3, TLS and sockets, into results/
	$(GO) run ./cmd/bench transports $(TRANSPORTSFLAGS)

.PHONY: faults
faults: build ## make the pictures of docs/faults.md anew
	.ci/faults

.PHONY: check
check: fmt-check vet cross lint lint-cross budgets test ## all of the checks before a push

.PHONY: clean
clean: ## remove what build made
	rm -rf bin

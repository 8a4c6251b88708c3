# Every target does all of its own set-up; `make` alone is what CI does, and nothing else.
.DEFAULT_GOAL := all
GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LINT := $(GO) tool -modfile=$(CURDIR)/tools/lint/go.mod
FUZZTIME ?= 10m
WEIGHT := ^TestTheAgentStaysWithinItsBudget$$
IMAGE ?= mirrorlet:devel
PLATFORMS ?= linux/amd64,linux/arm64
OUT ?= bin/image.tar
COMPONENTS ?=

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z.-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

all: format lint test ## Format, lint, test: what CI does

# grpcnotrace leaves out grpc's tracing pages, whose templates keep the linker from dropping what is never called: a quarter of the size.
build: ## Build bin/mirrorlet, a static binary
	CGO_ENABLED=0 $(GO) build -tags grpcnotrace -trimpath -ldflags '-s -w -X main.release=$(VERSION)' -o bin/mirrorlet ./cmd/mirrorlet

image: ## Build the image IMAGE for PLATFORMS into OUT, a .tar or a folder; PUSH=1 pushes it too
	cd tools && CGO_ENABLED=0 $(GO) run ./image -image $(IMAGE) -platforms $(PLATFORMS) -version $(VERSION) -revision "$$(git rev-parse HEAD)" -out $(abspath $(OUT)) $(if $(filter 1,$(PUSH)),-push)

install.yaml: ## Write install.yaml for the image IMAGE, with COMPONENTS=own-node,… of manifests/components
	cd tools && CGO_ENABLED=0 $(GO) run ./install -image $(IMAGE) -components "$(COMPONENTS)" -out $(CURDIR)/install.yaml

demo: build ## See it work: a pretended host at once, then a real containerd, registries and images (root)
	cd test && CGO_ENABLED=0 $(GO) run -trimpath ./cmd/demo

test: test-unit test-race test-lab ## Every test; the lab builds or downloads the containerds it runs

test-unit:
	CGO_ENABLED=0 $(GO) test ./...
	cd test/crds/oldest && CGO_ENABLED=0 $(GO) test ./...
	cd tools && CGO_ENABLED=0 $(GO) test ./...

test-race:
	@if command -v gcc >/dev/null || [ -n "$$CI" ]; then CGO_ENABLED=1 $(GO) test -race -short ./...; else echo "race detector: not run, gcc is missing"; fi

# Tests that do what the README says build image and install.yaml where nothing can be downloaded: so that is done before.
test-lab: build image install.yaml
	@if [ "$$(id -u)" = 0 ]; then cd test && CGO_ENABLED=0 $(GO) run ./cmd/parts all; else echo "lab: end-to-end tests are not run, they need root"; fi
	cd test && CGO_ENABLED=0 $(GO) test -count=1 -timeout 20m -skip '$(WEIGHT)' ./... # Go does not see what these tests read and build elsewhere
	cd test && CGO_ENABLED=0 $(GO) test -count=1 -v -run '$(WEIGHT)' ./e2e # says what the agent weighs, also when all is well

bench: ## Measure what is claimed, beside the simple ways of doing it, and write docs/bench.txt (root; a quarter of an hour)
	cd test && CGO_ENABLED=0 $(GO) run ./cmd/parts all && CGO_ENABLED=0 $(GO) run ./cmd/bench | tee ../docs/bench.txt
	cd test && CGO_ENABLED=0 $(GO) test -v -run TheAgentStaysWithinItsBudget -bench Proof -benchtime 50x ./e2e ./probe | tee -a ../docs/bench.txt
	CGO_ENABLED=0 $(GO) test -run '^$$' -bench . -benchtime 2s -count 5 ./agent | tee -a docs/bench.txt

fuzz: ## Fuzz every target for FUZZTIME each (default 10m)
	@grep -rl '^func Fuzz' --include '*_test.go' agent runtimes | while read -r f; do for t in $$(sed -n 's/^func \(Fuzz[A-Za-z]*\).*/\1/p' $$f); do $(GO) test -run '^$$' -fuzz "^$$t$$" -fuzztime $(FUZZTIME) ./$$(dirname $$f) || exit 1; done; done

soak: ## Meet every fault at every call, cut the power thousands of times, write docs/soak.txt (root; a quarter of an hour)
	cd test && CGO_ENABLED=0 nice -n 10 $(GO) run ./cmd/soak -out ../docs/soak.txt $(SOAK)

lint: ## Vet, and the linters of .golangci.yml, over all modules
	$(LINT) golangci-lint run ./...
	cd test && $(LINT) golangci-lint run --config ../.golangci.yml ./...
	cd tools && $(LINT) golangci-lint run --config ../.golangci.yml ./...

format: ## Format with gofumpt
	$(LINT) golangci-lint fmt ./...
	cd test && $(LINT) golangci-lint fmt --config ../.golangci.yml ./...
	cd tools && $(LINT) golangci-lint fmt --config ../.golangci.yml ./...

generate: ## Write what is generated from api/v1alpha1
	$(GO) generate ./api/...

update: ## Rewrite the golden files; read the diff
	$(GO) test ./runtimes/containerd ./runtimes/crio ./cmd/mirrorlet ./examples -update
	cd test && $(GO) test -count=1 ./crds -update

.PHONY: help all build image install.yaml demo test test-unit test-race test-lab bench fuzz soak lint format generate update

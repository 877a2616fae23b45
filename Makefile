# stoker: build, test and try it. Two commands do everything on a fresh machine:
#   make demo   brings a real cluster up on this machine and runs the first scenario on it
#   make test   runs all tests, those on the real cluster included

SHELL := /bin/bash
.DEFAULT_GOAL := help

BIN     := bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
# The lab of the demo. make demo LAB=other has one beside it, where the ports fit.
LAB     := lab
# Modules with a go.mod of their own: go test ./... does not visit them.
NESTED  := gpu/plugin scenarios/workload
# The lab's fleet stands on Nomad's own packages. It is compiled as the lab builds
# it, once: another way would compile half of Nomad again.
FLEETLAB := cluster/lab/tools/fleet
# go-nvml's header marks functions as deprecated that it wraps all the same.
export CGO_CFLAGS ?= -O2 -g -Wno-deprecated-declarations

.PHONY: help demo test setup build build-static plugin workload tools lint fmt unit race e2e e2e-docker golden bench bench-fleet soak check clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

setup: ## install what is missing on a Debian machine; does nothing when all is there
	@bash .ci/setup

build: setup plugin workload build-static ## build bin/stoker and all that the lab needs
	go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/stoker .

build-static: setup ## build bin/stoker-static: without NVML, runs on any Linux
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/stoker-static .

plugin: setup ## build the Nomad device plugin
	cd gpu/plugin && go build -trimpath -ldflags '-s -w' -o $(CURDIR)/$(BIN)/stoker-device-gpu .

workload: setup ## build the reference workload
	cd scenarios/workload && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $(CURDIR)/$(BIN)/workload .

tools: build ## find nomad and vault, or build them once (under 10 minutes on two cores)
	$(BIN)/stoker lab tools

demo: build ## bring the lab up and run the first scenario on it (LAB=NAME: another one)
	$(BIN)/stoker demo --name $(LAB)

test: lint unit e2e ## run everything: lint, unit tests, and the tests on the lab

lint: setup ## formatting, vet and staticcheck of every module
	@out=$$(go tool gofumpt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not formatted (make fmt):"; echo "$$out"; exit 1; fi
	go vet ./... && go tool staticcheck ./...
	CGO_ENABLED=0 go vet ./...
	@check=$$(go tool -n staticcheck) && for m in $(NESTED); do echo "lint $$m"; (cd $$m && go vet ./... && "$$check" ./...) || exit 1; done
	cd $(FLEETLAB) && go vet -trimpath ./...

fmt: setup ## format all Go files
	go tool gofumpt -w $$(git ls-files '*.go')

unit: setup ## unit tests of every module
	go test ./...
	@for m in $(NESTED); do echo "test $$m"; (cd $$m && go test ./...) || exit 1; done
	cd $(FLEETLAB) && go test -trimpath ./...

race: setup ## unit tests under the race detector
	go test -race ./...
	@for m in $(NESTED); do echo "race $$m"; (cd $$m && go test -race ./...) || exit 1; done

# -p 1: each package brings a cluster up; two at a time would slow each other down.
e2e: build tools ## tests on a real cluster: lab, Vault, commands, screens in tmux, a soak of three minutes
	@eval "$$($(BIN)/stoker lab tools | awk '{print "export STOKER_" toupper($$1) "=" $$2}')"; \
	export STOKER_E2E=1 STOKER_BIN=$(CURDIR)/$(BIN) STOKER_PLUGIN=$(CURDIR)/$(BIN)/stoker-device-gpu STOKER_TEST_VAULT=$$STOKER_VAULT; \
	go test -p 1 -count=1 -timeout 40m -v ./cluster/lab ./secrets/... ./jobs/pack ./tui/e2e ./tui/e2e/fleet

e2e-docker: build tools ## the main job on a lab in containers; needs a Docker engine
	STOKER_E2E=1 STOKER_E2E_DRIVER=docker STOKER_BIN=$(CURDIR)/$(BIN) go test -count=1 -timeout 20m -v -run 'TestGet|TestFirstDeploy|TestNoPlaintext|TestNoRight' ./tui/e2e

golden: setup ## write the golden screens anew; review the difference as pictures
	go test $$(go list -f '{{.ImportPath}} {{.TestImports}} {{.XTestImports}}' ./... | awk '/exp\/golden|screen\/fixture/ {print $$1}') -update

# How large the fleets of bench-fleet are, and where stoker's profiles go, if anywhere.
FLEET   := 100,1000
PROFILE :=
bench-fleet: build tools ## stoker beside wander on labs with a fleet (FLEET=100,1000 PROFILE=DIR); let nothing else run
	STOKER_FLEET=$(FLEET) STOKER_FLEET_PROFILE=$(PROFILE) STOKER_BIN=$(CURDIR)/$(BIN) go test -run '^$$' -bench BenchmarkFleet -benchtime 1x -timeout 2h ./tui/e2e/fleet

SOAK    := 30m
soak: build tools ## a screen on a fleet that fails for 30 minutes (SOAK=3m)
	STOKER_SOAK=$(SOAK) STOKER_BIN=$(CURDIR)/$(BIN) go test -run TestSoak -v -count=1 -timeout 2h ./tui/e2e/fleet

bench: setup ## benchmarks, with allocations
	go test -run '^$$' -bench . -benchmem ./...

check: lint race e2e ## lint, race detector and the tests on the lab; CI adds the demo and containers

clean: ## remove what was built (not the cached nomad and vault)
	rm -rf $(BIN)

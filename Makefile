# CrabCache: what there is to do. `make run` starts the server, `make test` checks everything.

export PATH := $(CURDIR)/.tools/cargo/bin:$(PATH)
N ?= 1000000
ROUNDS ?= 200
FUZZ_SECONDS ?= 20
# What the fuzz targets are built into, as in scripts/fuzz_smoke.
FUZZ_TARGET = $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR)/fuzz,fuzz/target)

.PHONY: run build test test-apps lint fmt compat crash faults differential fuzz-smoke miri miri-short tcl bench limit pgo docs ci help

## Builds the server and starts it on port 6379.
run: build
	exec target/release/crabcache-server $(ARGS)

## Builds target/release/crabcache-server.
build:
	scripts/install_build
	cargo build --release --package crabcache-server

## Installs what the tests need and runs all of them, but for those that have a target of their own.
test:
	scripts/install_tests
	$(MAKE) lint
	scripts/run_tests --workspace
	$(MAKE) test-apps

## Applications on top: job queues, workers, caches, sessions, limits, locks, tools.
test-apps:
	scripts/test_apps

## Form and lints, those of the fuzz targets too.
lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --manifest-path fuzz/Cargo.toml --no-default-features --target-dir $(FUZZ_TARGET) -- -D warnings

## Formats the source.
fmt:
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

## The case files on the reference and on CrabCache.
compat:
	scripts/install_tests
	scripts/run_tests --package compat-tests --test cases

## Kills the server at random moments under load, ROUNDS times: make crash ROUNDS=200 [SEED=1]
crash: build
	CRABCACHE_SERVER=$(CURDIR)/target/release/crabcache-server \
		cargo run --package compat-tests --bin crash -- --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED))

## Breaks links and ends servers of a replicating group under load: make faults ROUNDS=200 [SEED=1]
faults: build
	scripts/install_reference
	CRABCACHE_SERVER=$(CURDIR)/target/release/crabcache-server \
		cargo run --package compat-tests --bin faults -- --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED))

## N random commands on the reference and on CrabCache: make differential N=1000000 [SEED=1]
differential:
	scripts/install_reference
	cargo run --package compat-tests --bin differential -- --commands $(N) $(if $(SEED),--seed $(SEED))

## Fuzz targets, each for FUZZ_SECONDS.
fuzz-smoke:
	scripts/fuzz_smoke $(FUZZ_SECONDS)

## The tests of the store under Miri.
miri:
	scripts/miri

## Those of its modules that have unsafe code: some minutes.
miri-short:
	scripts/miri --short

## Redis's own test suite: make tcl SUITE=path-of-a-checkout UNITS="unit/type/string unit/expire" [TLS=yes]
tcl: build
	scripts/install_reference
	scripts/tcl_suite "$(SUITE)" $(UNITS)

## Builds target/pgo/crabcache-server by what the loads of the benchmarks reach: up to a tenth faster.
pgo:
	scripts/install_build
	scripts/pgo

## The benchmarks in short, beside the reference; writes docs/benchmarks.md.
bench: build
	scripts/install_reference
	scripts/bench

## Every command beside the reference and beside the least that the machine allows; writes docs/benchmarks.md.
limit: build
	scripts/install_reference
	scripts/limit

## Writes generated files anew: their tests do so where one is stale, and fail once.
docs:
	scripts/install_reference
	scripts/run_tests --workspace fresh || scripts/run_tests --workspace fresh

## What CI runs.
ci: test

## This list.
help:
	@awk '/^## /{text=substr($$0,4)} /^[a-z-]+:/{if(text){sub(/:.*/,"");printf "  %-14s %s\n",$$0,text;text=""}}' Makefile

# The ways in. Each target is a line or two; the work is in scripts/ and in cargo.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Where cargo builds; set it to share one build between clones.
export CARGO_TARGET_DIR ?= $(CURDIR)/target
cdp := $(CARGO_TARGET_DIR)/release/cdp

# cargo-deny lives outside the clone; see scripts/setup.
CDP_TOOLS_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/cdp/tools
export CDP_TOOLS_DIR
deny := $(CDP_TOOLS_DIR)/bin/cargo-deny

# How long each fuzz target runs.
FUZZ_SECONDS ?= 20

# Setting up comes before building, and both before testing: `-j` must not reorder them.
.NOTPARALLEL:

# Every target but `help` does something each time; what is up to date, the tools find out.
.PHONY: help setup setup-test setup-video model web sdks build run demo test check-format lint deny licenses check-licenses audit test-rust test-clients test-web test-alerts test-contract test-remote test-rocksdb fuzz fmt bench bench-serve bench-ingest bench-classify soak video pictures clean

help: ## This list
	@grep -hE '^[a-z-]+:.* ## ' $(MAKEFILE_LIST) | awk -F ':.* ## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

setup: ## Check what building needs, install what is missing
	@scripts/setup run

setup-test:
	@scripts/setup test

setup-video:
	@scripts/setup video

model: setup ## Fetch the sentence model, once
	@scripts/fetch-model

web: setup ## Build the web playground, if it changed
	@scripts/build-web

sdks: ## Install the tracking libraries that the tests drive, if they changed
	@scripts/fetch-sdks

build: setup web ## Build the one binary
	cargo build --release --locked

run: model build ## Build, seed demo data, serve; prints the address and who may log in
	$(cdp) serve --demo --demo-people 2000

demo: model build ## The same in memory, as new at each start, and with calls to try
	$(cdp) serve --demo --demo-people 2000 --store mem://

test: setup-test model web sdks check-format lint deny check-licenses test-rust test-clients test-web test-alerts test-contract ## Everything that CI asks for

check-format:
	cargo fmt --check

lint: web ## Clippy over everything, warnings refused
	scripts/lint

deny:
	$(deny) --locked check -A no-license-field licenses bans sources

licenses: ## Write the list of dependencies' licences anew
	@scripts/licenses

check-licenses:
	@scripts/licenses --check

audit: setup-test ## Known vulnerabilities; apart from `test`, since it fetches a database and changes by itself
	$(deny) --locked check advisories

# Without it, the snapshots' library asks `cargo metadata` for it, beside tests that let go of locks: a
# process that begins holds a copy of them.
test-rust: export INSTA_WORKSPACE_ROOT = $(CURDIR)
# Each test of a server has sockets and threads of its own; more at once than this exhaust a machine.
test-rust: export RUST_TEST_THREADS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN || echo 4); echo $$((n < 8 ? n : 8)))
# What they ask is on this machine.
test-rust:
	NO_PROXY="127.0.0.1$${NO_PROXY:+,$$NO_PROXY}" cargo test --release --locked

test-clients: model build ## Generate the client examples, check their types, run them against a server
	@scripts/test-clients

test-web:
	cd web-playground && npm run check && npm test

test-alerts: setup-test ## Try the alert rules
	@scripts/test-alerts

test-contract: setup model web ## The running server against its own description, with schemathesis, a few minutes
	cargo build --release --locked
	scripts/test-contract $(cdp)

test-remote: setup model web ## Two servers over one SurrealDB; apart from `test`, since building that one takes half an hour
	surreal="$$(scripts/surreal-server)" && CDP_TEST_SURREAL="$$surreal" cargo test --release --locked --test it -- --ignored --nocapture --test-threads 1 remote

test-rocksdb: setup model web ## What must be durable, over RocksDB; apart from `test`, since building that one takes a quarter of an hour
	CDP_TEST_ENGINE=rocksdb cargo test --release --locked --features rocksdb --test it -- crash backup shutdown doctor --skip half_a_record_in_the_log --skip a_table_that_lost

fuzz: ## Try to break what reads payloads, FUZZ_SECONDS for each target; apart from `test`, since it needs a nightly Rust
	@scripts/setup fuzz
	FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/fuzz

fmt: ## Format the code
	cargo fmt

bench: model web ## Measure everything and write docs/BENCHMARKS.md, hours; `quick=1` to try it, `parts="serve soak"` for some
	QUICK=$(quick) MINUTES=$(or $(minutes),20) scripts/bench $(parts)

bench-serve: model web ## Measure what is served; `parts="reads --sizes 10000,100000"`
	scripts/postgres-server cargo bench --locked --bench serve -- $(or $(parts),reads)

soak: model web ## Steady load at 70 % of what the server sustains, `minutes=20`: are memory and times flat?
	cargo bench --locked --bench serve -- soak --minutes $(or $(minutes),20) --csv $(CARGO_TARGET_DIR)/bench/soak.csv

bench-ingest: model web ## Measure ingestion beside PostgreSQL; `parts="road growth"` for some of it
	scripts/postgres-server cargo bench --locked --bench ingest -- $(parts)

bench-classify: model ## Measure the sentence models beside PyTorch and onnxruntime; `parts="minilm --threads 1"` for some of it
	scripts/bench-classify cargo bench --locked --bench classify -- $(parts)

video: setup-video model build ## Film the walkthrough: docs/demo.mp4, ten minutes
	@scripts/video film $(cdp)

pictures: setup-video model build ## Take the pictures of docs/images anew
	@scripts/video pictures $(cdp)

clean: ## Remove what was built; ./data stays, it may be someone's
	rm -rf web-playground/dist web-playground/node_modules
	rm -rf clients/typescript/{node_modules,build,src/generated} clients/python/cdp_client
	cargo clean

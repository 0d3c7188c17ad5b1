# Every target is a command that can be typed; `make help` lists them.

.DEFAULT_GOAL := help
.PHONY: help demo test template cloud sim sim-pairs bench corpus image deploy build fmt clippy doc clean

help:  ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-9s %s\n", $$1, $$2 }'

demo:  ## Play the whole loop on bundled flight data, with a report at the end
	cargo run -p refit-cli --locked -- demo

test:  ## Run all checks: build, format, lints, tests, documentation
	tools/test

template:  ## Check template.yaml alone: linters, rules, and each role against every call
	tools/template/check

cloud:  ## Play months through an emulated cloud and compare with the local world (CLOUD="--year")
	tools/cloud/play $(CLOUD)

bench:  ## Measure what docs/performance.md states, as ratios against floors (BENCH="--rows 100000")
	cargo bench -p refit-local --bench control_plane --locked
	python3 tools/bench_drift.py $(BENCH)
	cargo bench -p refit-functions --bench lambdas --locked

corpus:  ## Try malformed files on every reader (answers, seconds and memory by number), then malformed requests and metrics
	cargo run --release -p refit-data --example corpus --locked
	cargo build --workspace --bin refit --locked
	cargo test --workspace --test it --locked -- --nocapture --exact cli::corpus::every_malformed_request_and_metric_is_refused_or_read_as_stated

# How many schedules, and on how many threads.
N ?= 1000000
THREADS ?= 2

sim:  ## Play schedules of faults against the real code (N=1000000)
	tools/sim $(N) $(THREADS)

sim-pairs:  ## Play every pair of faults of every workflow (make sim: of a few)
	cargo build --profile sim -p refit-local --features fast-alloc --bin refit-sim --locked
	target/sim/refit-sim pairs --threads $(THREADS)

image:  ## Build the container image of the steps, without a container engine
	tools/image/build

deploy:  ## Build the functions and deploy template.yaml (DEPLOY="--guided" the first time; docs/deploy.md)
	sam build
	sam deploy $(DEPLOY)

build:  ## Build every executable
	cargo build --workspace --bins --locked

fmt:  ## Format the code
	cargo fmt --all

clippy:  ## Run the lints
	cargo clippy --workspace --all-targets --locked -- -D warnings

doc:  ## Build the documentation of the crates
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

clean:  ## Remove what was built, and the state of local worlds
	cargo clean
	rm -rf .refit

# Every task of this repository. `make` lists them.

.DEFAULT_GOAL := help
.PHONY: help run check test test-setup pictures bench deny image

help: ## List the tasks
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: ## Start the demo: nothing to install or configure
	cargo run --release -- demo

check: ## Format, lints, documentation, instructions per request (installs valgrind)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps
	./scripts/guard

test: test-setup ## Every test, against real software
	if cargo nextest --version >/dev/null 2>&1; then cargo nextest run; else cargo test --no-fail-fast; fi

test-setup: ## Install what the tests need (Debian)
	./scripts/test-setup

pictures: ## The pictures of the documentation, by the tests of the status page (after test-setup)
	SIDEKEY_PICTURES=$(CURDIR)/docs/images cargo test --test suite nothing_is_cut_wide_or_narrow

bench: ## Benchmarks, beside other proxies (installs those; Debian)
	./scripts/bench

deny: ## Licences, sources and bans of the dependencies (installs cargo-deny; advisories: see deny.toml)
	cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny
	cargo deny check bans licenses sources

image: ## The container image (podman, docker or buildah)
	./scripts/image

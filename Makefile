# Every task of this repository. `make` lists them.

.DEFAULT_GOAL := help
.PHONY: help run build fmt schema providers manifests clean lint test-fast test test-deps perf-check check fuzz bench audit image docs release release-deps \
	release-check pgo screenshots

# Tests that need other software than the Rust toolchain, curl and openssl (`make test-deps` installs it).
# Each word is a part of the path of a test, as `cargo test -- --skip` takes it.
REAL_SOFTWARE := real:: deploy:: release:: fleet:: admin::manage::page:: \
	git_reads_a_repository_with_the_credential java_calls_the_api node_calls_the_api python_calls_the_api \
	command_is_stopped_and_continued_by_the_shell_around_it signals_of_the_terminal_reach_the_command_once \
	access_token_has_the_scopes_of_the_configuration app_gets_an_installation_token_and_narrows_it \
	id_token_is_for_the_audience_and_the_key_of_the_environment jwt_is_verified_by_jose jwt_of_a_shared_secret_is_verified_by_jose \
	new_key_file_is_used_without_a_restart new_key_is_used_without_a_restart status_page_with_500_services trace_span_in_ \
	subject_token_of_a_file_is_read_for_each_exchange workload_identity_is_what_the_environment_says \
	admin::status_page admin_refresh_fetches_a_new_token admin_refresh_recovers_service_without_token \
	admin_test_calls_upstream_once_and_explains api_reloads_configuration \
	api_shows_each_service_state_with_cause_and_advice openapi_document_describes_every_response \
	ingress::clients:: ingress::compiled_clients:: ingress::documented_clients:: ingress::differential:: \
	connect_http2_works_with_curl_and_nghttpd http2_websocket_works_with_node_and_aiohttp \
	jws::tests client_secret_jwt_assertion_does_not_send_the_secret dpop_proofs_are_accepted_by_oidc_provider \
	private_key_jwt_assertion_is_verified_by_jose trace_context_is_propagated_to_upstream \
	upstream_https_behind_http_url_is_diagnosed upstream_tls_client_certificate_is_accepted_by_nginx

# Tests at a time: half as many again as there are cores, because many of them wait for a lifetime or for another program.
TEST_THREADS ?= $(shell echo $$(( $$(nproc 2>/dev/null || echo 4) * 3 / 2 )))

# What `make pgo` writes, and a release is built with.
PROFILE := $(CURDIR)/target/pgo/sidekey.profdata

# How long `make fuzz` runs each target.
FUZZ_SECONDS ?= 10

help: ## List the tasks
	@awk -F ':.*## ' '/^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Start here (no root, no other software)

run: ## Start the demo: nothing to install or configure
	cargo run --release -- demo

build: ## Build the program, for development
	cargo build

test-fast: ## Unit tests, and integration tests with mock peers
	cargo test --lib -- $(addprefix --skip ,$(REAL_SOFTWARE))
	cargo test --test suite -- $(addprefix --skip ,$(REAL_SOFTWARE))

lint: ## Format, clippy and documentation
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --features internals

fmt: ## Format the code
	cargo fmt --all

schema: ## Write config/schema.json and config/included.schema.json from the tables of keys
	SIDEKEY_WRITE=1 cargo test --lib -- schema_file_is_what_the_program_prints

providers: ## Write docs/PROVIDERS.md from the presets
	SIDEKEY_WRITE=1 cargo test --test suite -- providers_page_is_what_the_presets_say

manifests: ## Write the PrometheusRule of deploy/kubernetes from deploy/prometheus
	SIDEKEY_WRITE=1 cargo test --test suite -- prometheus_rule_is_what_the_alerts_say

clean: ## Remove what was built
	cargo clean

##@ All checks (these install what they need)

test: test-deps ## Every test, against real software (Debian)
	if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --test-threads $(TEST_THREADS); else cargo test --no-fail-fast; fi

test-deps: ## Install the software that the tests need (Debian, npm, PyPI)
	./scripts/test-deps

perf-check: ## Count the instructions of a request, and compare with the record (installs valgrind)
	./scripts/instruction-count

fuzz: ## Each fuzz target for FUZZ_SECONDS (10) seconds, or TARGET alone (needs a C++ compiler; installs cargo-fuzz)
	FUZZ_SECONDS=$(FUZZ_SECONDS) ./scripts/fuzz $(TARGET)

check: lint perf-check ## lint and perf-check: what CI runs before the tests

##@ Releases

audit: ## Licences, sources, bans and advisories of the dependencies (installs cargo-deny; fetches RustSec's database from GitHub)
	cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny
	cargo deny check

bench: ## Benchmarks beside other proxies (installs those; Debian)
	./scripts/bench

image: ## The container image (podman, docker or buildah)
	./scripts/image

docs: ## The documentation as a site, in target/site/html (installs mdBook below target/)
	./scripts/docs

release: release-deps pgo ## Archive, packages, image, SBOM and checksums, in target/release-artefacts
	./scripts/release --pgo $(PROFILE)

release-deps: ## Install the tools that make a release (Debian, crates.io)
	./scripts/release-deps

release-check: release-deps pgo ## The same twice, in two folders, and compared byte by byte: 30 minutes of CPU time
	./scripts/release-check --pgo $(PROFILE)

pgo: release-deps ## The profile by which the program of a release is optimised, in target/pgo
	./scripts/pgo --out $(PROFILE)

screenshots: ## The pictures of the documentation, by the tests of the status page (after test-deps)
	SIDEKEY_PICTURES=$(CURDIR)/docs/images cargo test --test suite status_page_newcomer

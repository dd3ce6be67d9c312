# One line each; PostgreSQL comes with scripts/postgres, which uses an installed one if it can.

.PHONY: demo test lint docs bench workloads check fidelity install

demo: ## A workload's queries before and after an online index change; ARGS="telemetry --rows 1000000"
	bin=$$(scripts/postgres any) && cargo run --release -- demo --pg-bin "$$bin" $(ARGS)

test: ## Everything, on a private PostgreSQL
	bin=$$(scripts/postgres any) && PGTUNE_TEST_PG_BIN="$$bin" cargo test

lint: ## Formatting, remarks of the compiler and of clippy, links of the documentation
	cargo fmt --check && cargo clippy --all-targets -- -D warnings && RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

docs: ## Writes docs/ from the code, and the outputs in README.md
	UPDATE=1 cargo test --lib docs && scripts/readme

bench: ## Measures
	bin=$$(scripts/postgres any) && PGTUNE_PG_BIN="$$bin" cargo bench

workloads: ## Measures the four workloads, and writes docs/workloads.md
	bin=$$(scripts/postgres any) && UPDATE=1 PGTUNE_TEST_PG_BIN="$$bin" cargo bench --bench workloads

install: ## Puts pgtune into ~/.cargo/bin
	cargo install --path . --locked

check: ## The newest migrations of the shipped workloads, as pull requests; pages in target/check
	bin=$$(scripts/postgres any) && cargo build && scripts/check-workloads target/debug/pgtune "$$bin"

fidelity: ## How faithful foretold plans are on each version, into docs/fidelity.md
	for major in 14 15 16 17 18; do UPDATE=1 PGTUNE_TEST_PG_BIN="$$(scripts/postgres $$major)" cargo test --test it a_shadow_plans_as || exit; done

.DEFAULT_GOAL := help
BIN := .venv/bin

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: ## Make .venv with all that is needed; skips what is there. TARGET=gpu for a machine with an NVIDIA GPU.
	@scripts/setup $(or $(TARGET),cpu)

demo: setup ## Serve the demo: a small int4 base, six adapters, an OpenAI endpoint on port 8080.
	@$(BIN)/patchbay demo up

tune-demo: setup ## Take raw, dirty tickets to a proven revision of a real base, in about ten minutes. TUNE="--steps 40" for less.
	@$(BIN)/patchbay demo tune --folder build/tune-demo-$$(date +%H%M%S) $(TUNE)

test: setup services ## Run every test, those on the real engine included.
	@$(BIN)/python -m pytest -m engine
	@$(BIN)/python -m pytest -m "not engine" --numprocesses 2 --dist loadfile

test-fast: setup services ## Run the tests that need no engine.
	@$(BIN)/python -m pytest -m "not engine" --numprocesses 2 --dist loadfile

services: ## Install the servers that tests start for themselves, where that can be done.
	@scripts/test-services
	@scripts/guards-peers/models || echo "services: Presidio cannot be installed here: the tests that ask it are left out" >&2

pythons: setup ## Install the wheel under other Pythons, and test there what needs no engine. PYTHONS="3.13" for one.
	@scripts/pythons $(PYTHONS)

fuzz: setup ## Throw broken safetensors and archives at their readers for a minute each, or FOR=seconds.
	@PATCHBAY_FUZZ_SECONDS=$(or $(FOR),60) $(BIN)/python -m pytest --timeout 900 \
		tests/property/adapters/test_safetensors_fuzz.py tests/property/adapters/test_archive_fuzz.py

lint: setup ## Check style, types and the import contracts.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

house: setup ## Print the structure of the code: rooms, imports between them, floors, circles, sizes, names that stand twice.
	@$(BIN)/python -m tools.house $(HOUSE)

mutants: setup ## Change the code of rooms, spot by spot, and see which tests notice. MUTANTS="router/carry --sample 50" for less.
	@$(BIN)/python -m tools.mutants $(MUTANTS)

mends: setup ## Undo the mends of tests/mends one at a time, and see that the test of each fails. MENDS="17" for one file.
	@$(BIN)/python -m tools.mends $(MENDS)

format: setup ## Put the code into its standard form.
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: setup ## Measure what the router costs beside its peers; the table and a plot go to build/bench.
	@scripts/bench-peers
	@$(BIN)/python -m loadtests.overhead $(BENCH)

bench-serve: setup ## Run vLLM's own serving benchmark against a running demo.
	@$(BIN)/python -m loadtests.vllm_serving

bench-swap: setup ## Swap an adapter's revision under load on a running demo, and roll it back.
	@$(BIN)/python -m loadtests.swaps

bench-fairness: setup ## Measure what admission does for adapter slots, beside vLLM alone. FAIRNESS="--rounds 3" for less.
	@$(BIN)/python -m loadtests.fairness $(FAIRNESS)

bench-ratios: setup ## Measure what LoRA, slots, cold starts, the router and guards cost, as ratios. RATIOS="--repetitions 3".
	@$(BIN)/python -m loadtests.ratios $(RATIOS)

presidio: setup ## Make Presidio's own environment with small models, which tests of `entities` guards ask. Half a minute.
	@scripts/guards-peers/models

guards-measure: setup ## Measure what guards find and miss beside Presidio; writes docs/guards-measured.md. GUARDS="--rounds 3" for less.
	@$(BIN)/python -m loadtests.guards_measure $(or $(GUARDS),--write)

load: setup ## Run a load scenario on the demo, started for it, and judge it. SCENARIO=mixed for another than smoke.
	@$(BIN)/patchbay load run $(or $(SCENARIO),smoke) $(LOAD)

chaos: setup ## Kill replicas of a running demo (demo up --replicas 2) under 200 streams, and compare what clients saw.
	@$(BIN)/python -m loadtests.chaos $(CHAOS)

clients: setup ## Run what the usual clients do first on the demo; writes docs/clients.md. CLIENTS="--only codex" for one.
	@$(BIN)/python -m loadtests.clients $(CLIENTS)

attack: setup ## Attack the demo for ten minutes beside bystanders, and say what it held. ATTACK="--minutes 2 --seed 5" for less.
	@$(BIN)/python -m loadtests.attack $(ATTACK)

faults: setup services ## Break what routers stand on, under load, for twenty minutes. FAULTS="--minutes 2 --seed 5" for less.
	@$(BIN)/python -m loadtests.faults $(FAULTS)

soak: setup ## Put ten minutes of mixed load on a router, and watch its memory. SOAK="--minutes 2" for less.
	@$(BIN)/python -m loadtests.soak $(SOAK)

scale: setup ## Simulate up to 1,000 replicas under the project's own router; writes docs/scale.md. SCALE="--quick" for less.
	@$(BIN)/python -m loadtests.scale --out build/scale $(or $(SCALE),--docs docs)

bases: setup ## Hold adapters on bases of other kinds against PEFT; --write puts the table into docs/adapters.md. BASES="--only qwen3".
	@$(BIN)/python -m loadtests.bases $(or $(BASES),--write)

lock: setup ## Resolve requirements/*.txt anew, keeping what still fits. UPGRADE=1 takes the newest of everything.
	@scripts/lock $(if $(UPGRADE),--upgrade)

clean: ## Remove .venv and the caches.
	@rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .import_linter_cache .hypothesis

.PHONY: help setup demo tune-demo services test test-fast pythons fuzz lint house mutants format bench bench-serve bench-swap bench-fairness bench-ratios presidio guards-measure load chaos clients attack faults soak scale bases lock clean

# Everything a user or contributor needs, by name. `make` alone lists it.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test check format properties day chaos servers bench pages lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

demo: $(STAMP) ## set up, replay the bundled Kubeflow campaign, print the incident
	@$(BIN)/streamer demo

test: $(STAMP) ## set up, start a real Kafka and a real Elasticsearch, run every test
	@deploy/need-java.sh
	@$(BIN)/python -m tests.servers fetch
	@$(MAKE) --no-print-directory check
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile

check: $(STAMP) ## format, lint, types, floors and rules; seconds, no servers
	@$(BIN)/ruff format --check --quiet . || { echo "some files are not formatted: run 'make format'"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache > /dev/null || $(BIN)/lint-imports --no-cache
	@$(BIN)/streamer check rules

format: $(STAMP) ## format the code and apply the linter's safe fixes
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

properties: $(STAMP) ## the long run of the property tests (CASES=20000 per lane)
	@STREAMER_PROPERTY_CASES=$(or $(CASES),20000) $(BIN)/python -m pytest -q tests/correlate/properties tests/peers

day: $(STAMP) ## a generated benign day and every attack chain woven into it (EVENTS=200000, SEED=1)
	@$(BIN)/python -m tests.day --events $(or $(EVENTS),200000) --seed $(or $(SEED),1) --out $(or $(OUT),build/day) --check --chains

chaos: $(STAMP) ## kills, freezes and outages (SCENARIO=all, LONG=1 for the figures in docs/reliability.md)
	@deploy/need-java.sh
	@$(BIN)/python -m tests.chaos $(or $(SCENARIO),all) $(if $(LONG),--long)

servers: $(STAMP) ## start a local Kafka and Elasticsearch until Ctrl-C
	@deploy/need-java.sh
	@$(BIN)/python -m tests.servers up

bench: $(STAMP) ## the benchmarks: ratios with their yardstick in the same run
	@$(BIN)/python -m benchmarks.replay
	@$(BIN)/python -m benchmarks.correlate_cost

pages: $(STAMP) ## write docs/coverage.md and docs/behaviours.md anew, after changes of rules or cases
	@$(BIN)/python -m tests.docs.generated

lock: ## renew the hashed lock files (needs uv)
	uv pip compile -q pyproject.toml --universal --generate-hashes --no-annotate --no-header --python-version 3.11 -o requirements/runtime.txt
	uv pip compile -q pyproject.toml --universal --group dev --generate-hashes --no-annotate --no-header --python-version 3.11 -c requirements/runtime.txt -o requirements/dev.txt

clean: ## remove the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "streamer needs Python 3.11 or newer; say which with 'make PYTHON=python3.11 ...'"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "the venv module is missing (Debian, Ubuntu: apt-get install python3-venv)"; exit 1; }
	@echo "installing the locked dependencies into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# All that a person does with a checkout; `make help` lists it.
# Needs python3 (3.11 or later) with its venv module; everything else comes from requirements.lock.

PYTHON  ?= python3
CONFIG  ?= config.yaml
WORKERS ?= 4
ARGS    ?=
SEEDS   ?= 100
START   ?= 1
REQUESTS ?= 20000

BIN   := .venv/bin
READY := .venv/.ready
PIP   := $(BIN)/pip install --disable-pip-version-check --quiet --no-deps

.DEFAULT_GOAL := help
.PHONY: help setup browser promtool run rehearse test simulate systemd fuzz lint format bench lock clean

help:  ## list these targets
	@sed -n 's/^\([a-z]*\):.*##/\1\t/p' $(MAKEFILE_LIST) | expand -t 9

setup: $(READY)  ## make .venv from the hash-checked lock; does nothing while lock and pyproject stay the same

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-build-isolation -e .
	@touch $@

browser:  ## headless Chromium for the tests of the report's page, from the system's packages; without it they are skipped
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || { \
	  if [ "$$(id -u)" = 0 ]; then root=; else root="sudo -n"; fi; \
	  $$root apt-get update -qq && \
	  $$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core \
	    >/dev/null; \
	} || echo "no Chromium could be installed (it takes apt-get, and root or sudo): tests that open a page are skipped"

promtool: setup  ## promtool out of the system's package prometheus, for the tests of the alert rules; without it they are skipped
	@test -x $(BIN)/promtool || ( \
	  folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && cd "$$folder" && \
	  { apt-get download -qq prometheus || { apt-get update -qq && apt-get download -qq prometheus; }; } >/dev/null 2>&1 && \
	  dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xO ./usr/bin/promtool >promtool && chmod +x promtool && \
	  mv promtool $(CURDIR)/$(BIN)/ \
	) || echo "no promtool could be fetched (it takes apt-get and the lists of packages): tests that run it are skipped"

run: setup  ## run the daemon in the foreground; Ctrl-C stops it. CONFIG=other.yaml ARGS="--root DIR"
	@exec $(BIN)/livebot run --config $(CONFIG) $(ARGS)

rehearse: setup  ## two minutes against a local exchange that misbehaves, and a verdict. CONFIG=other.yaml ARGS="--kills 3"
	@exec $(BIN)/livebot rehearse --config $(CONFIG) $(ARGS)

test: export PYTHONDONTWRITEBYTECODE =  # four workers and many children, each of which would compile all anew
test: setup  ## all tests, then the coverage gate. ARGS="tests/core -k kernel" narrows, WORKERS=0 runs in one process (4: many wait)
	@rm -f .coverage .coverage.*
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup --cov --cov-report= $(ARGS)
ifeq ($(ARGS),)
	@$(BIN)/coverage json -q -o .coverage.json
	@$(BIN)/python tests/coverage_gate.py .coverage.json
endif

simulate: setup  ## the daemon among crashes, lost orders and full disks; a failing seed says how to replay it. SEEDS=1000 START=1
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) --start $(START) $(ARGS)

systemd: setup  ## boots a real systemd in a container and tries the units of deploy/ in it (root; it installs what it needs)
	@$(BIN)/python -m tests.systemd $(ARGS)

fuzz: setup  ## requests made from the control API's description: none answered with 5xx, none refused that changed a thing. REQUESTS=20000
	@$(BIN)/python -m tests.ops.fuzz $(REQUESTS)

lint: setup  ## style, format, types, imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: setup  ## mend what a tool can mend
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

bench: setup  ## measure; one JSON object per line
	@$(BIN)/python -m tests.benchmarks $(ARGS)

lock: setup  ## pin anew what pyproject.toml allows; ARGS="--upgrade-package NAME" or --upgrade
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --custom-compile-command "make lock" --quiet --output-file requirements.lock $(ARGS)

clean:  ## remove .venv and everything made by a tool; leaves signals/, state/ and models/ alone
	rm -rf .venv dist *.egg-info .coverage* .*_cache .hypothesis .benchmarks
	find livebot tests -name __pycache__ -type d -prune -exec rm -rf {} +

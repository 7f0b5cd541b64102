# Two commands to start with: `make run` and `make test`. Each installs what it needs first.

.DEFAULT_GOAL := help
.PHONY: help run test lint test-all flake screenshots axe million faults galera cutover load soak
.PHONY: bench profile fuzz audit lock demo venv install clean

# `make install` writes the tree to PREFIX and uses PYTHON. DESTDIR is put in front of PREFIX to build a package.
# DEBIAN_PACKAGES=1 uses Debian's Python packages where their versions suffice.
PREFIX = /opt/gpu-admin-panel
PYTHON = /usr/bin/python3

# `make test` runs two processes more than cores (tests/conftest.py), at most four; each has its own MariaDB.
# With ARGS=--pdb it runs one.
PARALLEL = -n auto --maxprocesses 4

# `make run` and `make demo` keep their MariaDB, mount and configuration in this folder.
VAR = var

# Tests and benchmarks start Python hundreds of times: without its bytecode each start compiles all modules.
unexport PYTHONDONTWRITEBYTECODE

help:  ## List the targets
	@awk -F ':[^#]*  ## ' '/^[a-z-]+:[^#]*  ## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

run:  ## Run the demo panel with a private MariaDB; Ctrl-C stops it; PORT=8081 VAR=folder
	@bin/prepare run
	@exec bin/gpupanel run --var "$(VAR)" $(if $(PORT),--port "$(PORT)")

test: lint  ## Run ruff, mypy and the tests; ARGS='-k queue -x' is passed to pytest
	@exec venv/bin/python -m pytest $(PARALLEL) $(ARGS)

lint:  ## Check the Python code with ruff and mypy, as pyproject.toml configures them
	@bin/prepare test
	@venv/bin/ruff check lib bench tests bin
	@venv/bin/mypy

test-all:  ## Run every test, also the long ones: clusters, fault campaign, load, a million batches, fuzzing
	@bin/prepare test
	@AXE=all venv/bin/python -m pytest -m ""
	@$(MAKE) --no-print-directory faults
	@$(MAKE) --no-print-directory cutover
	@$(MAKE) --no-print-directory load
	@$(MAKE) --no-print-directory million
	@$(MAKE) --no-print-directory fuzz

flake:  ## Run the tests three times under load and on one core, count failures; ARGS='--runs 10 -- -k queue'
	@bin/prepare test
	@exec bin/flake $(ARGS)

screenshots:  ## Draw every page at each width, light, dark and printed, into VAR/screenshots/, and the picture of README.md
	@bin/prepare test
	@SCREENSHOTS="$(VAR)/screenshots" venv/bin/python -m pytest tests/browser/screenshots.py $(ARGS)

axe:  ## Run axe-core on every state of every page at every width, light and dark
	@bin/prepare test
	@AXE=all venv/bin/python -m pytest -m "" tests/browser/test_accessibility.py -k axe $(ARGS)

million:  ## Build a ledger of a million batches in VAR/million and test every page against it
	@bin/prepare test
	@exec venv/bin/python bench/make_ledger.py "$(VAR)/million" -- venv/bin/python -m pytest tests/web/test_pages_at_size.py $(ARGS)

faults:  ## Inject every fault at every point, over half an hour; ARGS='--done FILE' continues an interrupted run
	@bin/prepare test
	@PYTHONPATH=lib:tests:tests/faults venv/bin/python -u -m campaign $(ARGS)
	@MODEL_EXAMPLES=100 venv/bin/python -m pytest tests/faults/test_model.py
	@MODEL_EXAMPLES=60 venv/bin/python -m pytest tests/db/test_undo_property.py tests/db/test_fold_property.py \
	    tests/db/test_forecast.py tests/db/test_reconcile.py
	@MODEL_EXAMPLES=1000 venv/bin/python -m pytest tests/unit/test_reference_fold.py
	@TEST_MARIADB_OPTIONS=--innodb-snapshot-isolation=ON venv/bin/python -m pytest -m ""

galera:  ## Break a Galera cluster and a network below panel and workers, as root; ARGS='-k cut_off' runs fewer
	@bin/prepare test
	@exec venv/bin/python -m pytest -m "" tests/faults/test_galera.py tests/faults/test_galera_breaks.py \
	    tests/faults/test_hosts.py $(ARGS)

cutover:  ## Execute the cutover of docs/PERL-PARITY.md, and the way back from each step; ASSETS=100000
	@bin/prepare test
	@CUTOVER=1 venv/bin/python -m pytest tests/db/test_cutover.py
	@CUTOVER_ASSETS=$(or $(ASSETS),100000) exec venv/bin/python -m pytest -s tests/db/test_cutover.py $(ARGS)

load:  ## Run operators and workers for MINUTES (10) while both are killed; ARGS='--bundles 100' is smaller
	@bin/prepare test
	@PYTHONPATH=lib:tests:tests/faults exec venv/bin/python -u -m load --minutes $(or $(MINUTES),10) $(ARGS)

soak:  ## Import, seal, archive and kill for DURATION (600) seconds on a slow mount; trends go to bench/RESULTS.md
	@bin/prepare test
	@PYTHONPATH=lib:tests:tests/faults:. exec venv/bin/python -u -m soak --seconds $(or $(DURATION),600) $(ARGS)

bench:  ## Measure the panel beside its peers into bench/RESULTS.md; ARGS='--full cgi' is one row in full size
	@bin/prepare test
	@PYTHONPATH=lib:. exec venv/bin/python -m bench $(ARGS)

profile:  ## Write imports and statements with their plans and times to var/profile; ARGS=web is one part
	@bin/prepare test
	@PYTHONPATH=lib:. exec venv/bin/python -m bench.profiles $(ARGS)

fuzz:  ## Send random hostile requests and manifests for MINUTES (5), and measure what manifests cost
	@bin/prepare test
	@exec bin/fuzz $(MINUTES)

audit:  ## Look up known vulnerabilities of the packages in venv/; needs PyPI's advisory service
	@bin/prepare run
	@exec bin/audit

lock:  ## Write the newest allowed versions of the packages and their hashes to requirements.lock
	@bin/prepare run
	@exec bin/lock

demo:  ## Import the demo bundles without a browser and print each result
	@bin/prepare run
	@exec bin/gpupanel demo --once --var "$(VAR)"

venv:  ## Install what `make run` needs, and start nothing
	@bin/prepare run

install:  ## Install to PREFIX, or upgrade the tree there; etc/*.conf is kept
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("install: Python 3.11 or later is needed, found %s.%s" % sys.version_info[:2])'
	@PYTHONPATH=lib $(PYTHON) -B -m gpupanel.devtools.install --prefix "$(PREFIX)" --destdir "$(DESTDIR)" \
	    $(if $(DEBIAN_PACKAGES),--debian-packages)

clean:  ## Remove venv/ and caches; the data of `make run` stays in var/
	rm -rf venv .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# Two commands for a newcomer: `make run` and `make test`. Both install what is missing first.

.DEFAULT_GOAL := help
.PHONY: help run test screenshots axe million faults galera load bench profile fuzz audit demo venv install clean

# Where `make install` puts the tree, and with which Python. DESTDIR goes in front of PREFIX, for who makes a package.
# DEBIAN_PACKAGES=1 uses the Python packages of Debian as far as they suffice.
PREFIX = /opt/gpu-admin-panel
PYTHON = /usr/bin/python3

# Where `make run` and `make demo` keep what is private to them.
VAR = var

help:  ## List what there is to make
	@awk -F ':  ## ' '/^[a-z-]+:  ## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

run:  ## Run the demo panel: private MariaDB, demo bundles, worker and panel; Ctrl-C stops all of it
	@bin/prepare
	@exec bin/gpupanel run --var "$(VAR)"

test:  ## Run the tests; ARGS='-k queue -x' is handed to pytest
	@bin/prepare test
	@exec venv/bin/python -m pytest $(ARGS)

screenshots:  ## Draw every page, light, dark, narrow and printed, into VAR/screenshots/ for people to look at
	@bin/prepare test
	@SCREENSHOTS="$(VAR)/screenshots" venv/bin/python -m pytest tests/browser/screenshots.py $(ARGS)

axe:  ## Ask axe-core about every page at every width, light and dark
	@bin/prepare test
	@AXE=all venv/bin/python -m pytest tests/browser/test_everyone.py -k axe $(ARGS)

million:  ## Build a ledger of a million batches under VAR/million, and hold each page to what it shows there
	@bin/prepare test
	@exec venv/bin/python bench/make_ledger.py "$(VAR)/million" -- venv/bin/python -m pytest tests/web/test_pages_at_size.py $(ARGS)

faults:  ## Try every fault at every point where one could happen, half an hour; ARGS='--done FILE' takes it up again
	@bin/prepare test
	@PYTHONPATH=lib:tests:tests/faults venv/bin/python -u -m campaign $(ARGS)
	@MODEL_EXAMPLES=100 venv/bin/python -m pytest tests/faults/test_model.py
	@TEST_MARIADB_OPTIONS=--innodb-snapshot-isolation=ON venv/bin/python -m pytest -m ""

galera:  ## Break a Galera cluster and a network under panel and workers, as root; ARGS='-k cut_off' tries less
	@bin/prepare test
	@exec venv/bin/python -m pytest -m "" tests/faults/test_galera.py tests/faults/test_galera_breaks.py \
	    tests/faults/test_hosts.py $(ARGS)

load:  ## Operators click and workers import for MINUTES (10) while both are killed; ARGS='--bundles 100' makes it smaller
	@bin/prepare test
	@PYTHONPATH=lib:tests:tests/faults exec venv/bin/python -u -m load --minutes $(or $(MINUTES),10) $(ARGS)

bench:  ## Measure ours beside its peers into bench/RESULTS.md; ARGS='--full cgi' is one row in full size
	@bin/prepare test
	@PYTHONPATH=lib:. exec venv/bin/python -m bench $(ARGS)

profile:  ## Write to var/profile where the time goes: imports, statements with their plans; ARGS=web is one part
	@bin/prepare test
	@PYTHONPATH=lib:. exec venv/bin/python -m bench.profiles $(ARGS)

fuzz:  ## Feed hostile requests and manifests to the panel for MINUTES (5), always other ones
	@bin/prepare test
	@exec bin/fuzz $(MINUTES)

audit:  ## Ask whether a package in venv/ has a known vulnerability; needs PyPI's advisory service
	@bin/prepare
	@exec bin/audit

demo:  ## Import the demo bundles without a browser, and print what became of each
	@bin/prepare
	@exec bin/gpupanel demo --once --var "$(VAR)"

venv:  ## Only install what is missing
	@bin/prepare

install:  ## Install to PREFIX, or upgrade what is there; what is in etc/*.conf stays
	@PYTHONPATH=lib $(PYTHON) -B -m gpupanel.devtools.install --prefix "$(PREFIX)" --destdir "$(DESTDIR)" \
	    $(if $(DEBIAN_PACKAGES),--debian-packages)

clean:  ## Remove venv/ and caches; the data of `make run` stays in var/
	rm -rf venv .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

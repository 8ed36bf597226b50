# `make` prints what there is to do. Everything is made inside .venv/, web/node_modules/ and api/pages/static/; only a browser, for the tests
# of the pages, comes from apt.
.DEFAULT_GOAL := help
.PHONY: help setup run test lint bench lock clean browser
BIN := .venv/bin
READY := .venv/.ready
PAGES := api/pages/static/.built
BROWSER := chromium fonts-dejavu-core libatomic1

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

$(PAGES): $(READY) $(shell find web -type f -not -path '*/node_modules/*' -not -path '*/generated/*') $(wildcard batch/page/*.woff2) batch/page/measures.toml batch/page/base.css
	$(BIN)/python web/build.py
	@touch $@

run: $(READY) $(PAGES)  ## start Elocute and all it needs: a page to practise on
	@$(BIN)/elocute serve

# Editing a kernel does not invalidate the numba caches of the kernels that call it, so tests begin without any.
test: $(READY) $(PAGES) browser lint  ## lint, then all tests
	@find speech -name '*.nb[ic]' -delete
	$(BIN)/python -m pytest

lint: $(READY) $(PAGES)  ## ruff, mypy and the types of the pages
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
	@for file in $$(grep -l '^if __name__ == "__main__":' bench/*.py | grep -v -e caller -e naive -e served); do \
		echo "== $$file"; $(BIN)/python -m bench.$$(basename $$file .py) || exit; \
	done

lock: $(READY)  ## requirements/*.in -> requirements.lock
	$(BIN)/uv pip compile requirements/*.in --override requirements/without.txt --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-config -q -o requirements.lock

clean:  ## delete all that make has made, .venv/ too; recordings stay
	rm -rf .venv web/node_modules web/src/generated api/pages/static .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

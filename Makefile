# Everything runs in .venv at the repository's root, made on first use.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help demo test test-slow lint format bench install clean

help:
	@echo "make demo       register a simulated breath and show the true error"
	@echo "make test       lint, formatting, types and the quick tests"
	@echo "make test-slow  the longer tests"
	@echo "make lint       lint, formatting and types alone"
	@echo "make format     put formatting and simple lint right"
	@echo "make bench      accuracy and time, own and others; takes hours (BENCH=--quick: a trial)"
	@echo "make clean      remove .venv and everything that was made"

install: $(READY)

# torch comes through the same pip call as all else, so that the pin holds for it too.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $(READY)

demo: $(READY)
	$(BIN)/lungmorph demo --output demo-result --overwrite

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# two processes; the tests of a file stay together, for they share what is slow to make
test: lint
	$(BIN)/pytest -m "not slow" -n 2 --dist loadfile

test-slow: $(READY)
	$(BIN)/pytest -m slow

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python benchmarks/accuracy.py --work bench --save bench/section.md $(BENCH)

clean:
	rm -rf .venv demo-result build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# make demo   the first lab, trained, plotted and graded
# make test   every test, in two processes
# make check  linter, formatter and type checker
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo test check constraints clean

demo: $(INSTALLED)
	$(BIN)/dlcourse run lab05 --solution
	$(BIN)/dlcourse check lab05 --solution

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The stamp comes last, so an interrupted install is taken up again and a whole one is not repeated.
# Where Python comes without ensurepip (Debian), the pip that is there fills the environment.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "dlcourse needs Python 3.10 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 2; }
	[ -x $(BIN)/pip ] || $(PYTHON) -m venv .venv || \
	  { $(PYTHON) -m venv --without-pip .venv && $(PYTHON) -m pip --python $(BIN)/python install pip; }
	$(BIN)/pip install --editable '.[dev]' $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))
	@touch $@

constraints: $(INSTALLED)
	{ echo "# The versions that CI last passed with (Python 3.11, Linux)."; \
	  echo "# To install exactly so: make demo CONSTRAINTS=constraints.txt"; \
	  $(BIN)/pip freeze --exclude-editable; } > constraints.txt

clean:
	rm -rf .venv results

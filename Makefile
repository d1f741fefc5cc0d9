# make demo     run and check the first complete lab
# make test     run every test, in two processes
# make check    run linter, formatter and type checker
# make site     build the web site in build/site/html
# make install  only create .venv and install the package
#
# PYTHON=python3.12  the Python to use
# TORCH=cpu          PyTorch without CUDA (Linux, Windows): about 200 MB instead of 5.5 GB
# CONSTRAINTS=FILE   the versions to install, for example constraints.txt
# INSTALL="uv pip install --python .venv"
#                    uv instead of pip, if you have it: half a minute instead of three
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
CPU_INDEX := https://download.pytorch.org/whl/cpu
INSTALL ?= $(BIN)/pip install
PINNED = $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))

ifneq ($(filter-out cpu,$(TORCH)),)
  $(error TORCH=$(TORCH) is not known; use TORCH=cpu for PyTorch without CUDA, or leave TORCH out)
endif

# Python keeps what it has compiled. Else each process that the tests start compiles torch
# anew, where the environment forbids to keep it.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check site install constraints clean

demo: $(INSTALLED)
	$(BIN)/dlcourse run lab05 --solution
	$(BIN)/dlcourse check lab05 --solution

# Each process begins with half of the tests in their order; the one that is done first takes over
# half of what is left to the other, so that neither waits at the end.
test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

site: $(INSTALLED)
	$(BIN)/python -c 'import myst_parser, pydata_sphinx_theme' 2>/dev/null || \
	  $(INSTALL) --editable '.[docs]' $(PINNED)
	$(BIN)/python docs/site/build.py

install: $(INSTALLED)

# Where Python has no ensurepip (Debian), the pip of the system fills the environment.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "dlcourse needs Python 3.10 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv .venv || \
	  { $(PYTHON) -m venv --without-pip .venv && $(PYTHON) -m pip --python $(BIN)/python install pip; }

# The stamp comes last, so that an interrupted installation continues and a complete one is not
# repeated. torch and torchvision come from one index in one command: builds of different kinds do
# not load together.
$(INSTALLED): pyproject.toml | $(BIN)/pip
	$(if $(TORCH),$(INSTALL) torch torchvision --index-url $(CPU_INDEX) $(PINNED))
	$(INSTALL) --editable '.[dev]' $(PINNED)
	@touch $@

constraints: $(INSTALLED)
	{ echo "# The versions that CI last passed with (Python 3.11, Linux)."; \
	  echo "# To install exactly so: make demo CONSTRAINTS=constraints.txt"; \
	  $(BIN)/pip freeze --exclude-editable; } > constraints.txt

clean:
	rm -rf .venv results

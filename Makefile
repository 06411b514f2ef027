# make demo    from nothing to an unlearned model with its proof (results/report.html)
# make env     the pinned packages in .venv alone
# make test    fast tests and workflow tests; make test-slow runs the rest, make lint the checks of style and types
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
READY := .venv/ready
VALIDATOR := .venv/validator/ready
ADAM8BIT := .venv/adam8bit/ready

LOCK := --generate-hashes --python-version 3.11 --python-platform x86_64-unknown-linux-gnu --no-emit-index-url \
  --custom-compile-command "make lock" --quiet

.PHONY: env demo test test-slow lint lock clean

env: $(READY)

demo: $(READY)
	unpaint check
	unpaint warm snakemake --cores all
	unpaint record
	@echo
	@echo "Done. The report: results/report.html; the unlearned models: results/*/*/seed*/model.safetensors"
	@echo "Their lineage is in dvc.lock: git add dvc.lock results, commit; then 'dvc repro' after a change of params.yaml runs what depends on it."

test: $(READY) $(VALIDATOR) $(ADAM8BIT)
	pytest -n 2 --dist loadscope

test-slow: $(READY) $(VALIDATOR) $(ADAM8BIT)
	pytest -n 2 --dist loadscope -m slow

lint: $(READY)
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check .
	snakemake --lint

$(READY): requirements.lock pyproject.toml # a lock names all there is; pip alone does not pin a package with extras
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and \
	  f"requirements.lock is for Python 3.11, this is {sys.version.split()[0]}; run: make PYTHON=python3.11")'
	@echo "Installing the pinned packages into .venv (about 7 GB, a few minutes) ..."
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --progress-bar off --no-deps --require-hashes -r requirements.lock
	.venv/bin/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VALIDATOR): tests/validator.lock $(READY) # of crates; it wants an older rich than DVC has, so it is by itself
	$(PYTHON) -m venv .venv/validator
	.venv/validator/bin/pip install --quiet --progress-bar off --no-deps --require-hashes -r tests/validator.lock
	@touch $@

$(ADAM8BIT): tests/adam8bit.lock $(READY) # where it is installed diffusers imports it, which costs each job a second
	.venv/bin/pip install --quiet --progress-bar off --no-deps --require-hashes --upgrade --target .venv/adam8bit -r tests/adam8bit.lock
	@touch $@

lock: # after a change of pyproject.toml
	uv pip compile pyproject.toml --extra dev --extra receipt $(LOCK) --output-file requirements.lock
	uv pip compile tests/validator.in $(LOCK) --output-file tests/validator.lock
	uv pip compile tests/adam8bit.in --no-deps $(LOCK) --output-file tests/adam8bit.lock

clean: # everything made, but not the environment
	rm -rf results logs scratch .snakemake

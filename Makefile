.DEFAULT_GOAL := help
.PHONY: screenshots accept bench-evals bench-search help demo check test phoenix bench house fleet tested pins reference faults storm histories updates

UV := sh template/chassis/uv
RUN := $(UV) run --frozen
# The folders of the test helpers.
HELPERS := tests/helpers:tests/chassis/helpers:tests/chassis
# The longest files first, as tests/conftest.py has put them.
PYTEST = $(RUN) pytest --dist loadfile --no-loadscope-reorder
# Twice as many as the usual two cores, because half of the time the tests wait for a server, a disk or a deadline.
QUICK_WORKERS ?= 4
SLOW_WORKERS ?= 4
# Without cached bytecode Python takes twice as long to start, and the tests start it often.
unexport PYTHONDONTWRITEBYTECODE

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Generate a service into build/demo, set it up, ask it a question, run its checks
	@STARTED=$$(date +%s) $(RUN) --only-group template python scripts/demo.py

check: ## Format, lint, types and the quick tests; takes about two minutes
	$(UV) lock --check --quiet
	$(RUN) ruff format --check
	$(RUN) ruff check
	$(RUN) ty check
	$(RUN) python scripts/tested.py --check
	$(RUN) python scripts/pins.py --check
	$(PYTEST) -n $(QUICK_WORKERS) -m "not slow"

test: check ## Everything: also strict types and the slow tests, which generate services and run their checks
	$(RUN) basedpyright
	$(PYTEST) -n $(SLOW_WORKERS) -m "slow and not phoenix and not load"

phoenix: ## Send a trace to Phoenix and save a screenshot as build/phoenix.png
	$(RUN) pytest -m phoenix

house: ## Print how large code, project and image are; BEFORE=FOLDER adds an older checkout to compare with
	@$(RUN) python scripts/house.py $(if $(BEFORE),--root $(BEFORE) --root .)

bench: ## Benchmark generation, start-up, the guard and the service against plain libraries and LiteLLM
	$(RUN) python -m benchmarks --page docs/reference/speed.md

bench-evals: ## Benchmark evaluation and judging against plain asyncio and pydantic-evals
	$(RUN) python -m benchmarks.evaluation

bench-search: ## Benchmark the search: CORPUS=FOLDER has documents/ and questions.jsonl, LANGUAGE=english, EMBEDDINGS=FILE
	@$(RUN) chassis evals search $(CORPUS)/documents $(CORPUS)/questions.jsonl $(if $(LANGUAGE),--language $(LANGUAGE)) $(if $(EMBEDDINGS),--embeddings $(EMBEDDINGS))

fleet: ## Report on the clones in the folder REPOS; see docs/how-to/standardize-many-teams.md
	@$(RUN) python -m fleet $(REPOS)

tested: ## Upgrade every library, record the versions for new projects, and test with them
	$(UV) lock --upgrade
	$(RUN) python scripts/tested.py
	$(MAKE) test

pins: ## Write the pins of pins.toml into all workflows
	$(RUN) python scripts/pins.py

reference: ## Regenerate the reference pages and the questions for cookiecutter
	PYTHONPATH=$(HELPERS) $(RUN) python -m reference_pages
	$(RUN) python scripts/cookiecutter_questions.py

updates: ## Test updates from former releases and write docs/reference/updates.md
	PYTHONPATH=$(HELPERS) $(RUN) python -m update_matrix

screenshots: ## Take the pictures of the review and status pages in docs/images again
	PYTHONPATH=$(HELPERS) $(RUN) python scripts/screenshots.py

faults: ## Inject every fault once and write docs/reference/faults.md
	PYTHONPATH=$(HELPERS) $(RUN) python -m fault_page

storm: ## Send 10,000 requests to three replicas while a vendor fails and a process is killed
	PYTHONPATH=$(HELPERS) $(RUN) python -m storm

histories: ## Check 10,000 random ledger histories on SQLite and as many on PostgreSQL
	LEDGER_HISTORIES=10000 $(RUN) pytest tests/chassis/test_histories.py -k many_histories

accept: ## Run the starter evaluation of each shape and accept the results
	$(RUN) python scripts/accept.py

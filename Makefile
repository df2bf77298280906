.DEFAULT_GOAL := help
.PHONY: accept bench-evals help demo check test phoenix bench fleet tested pins reference faults storm histories updates

UV := sh template/chassis/uv
RUN := $(UV) run --frozen
# Where the helpers of the tests are.
HELPERS := tests/helpers:template/chassis/tests/helpers:template/chassis/tests
PYTEST = $(RUN) pytest --dist loadfile
# For two cores: quick tests wait now and then, for a deadline or a server; slow ones keep a core busy.
QUICK_WORKERS ?= 3
SLOW_WORKERS ?= 2
# Without its bytecode every start of Python takes twice as long, and the tests start it often.
unexport PYTHONDONTWRITEBYTECODE

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Generate a service into build/demo, set it up, ask it a question, run its checks
	@$(RUN) python scripts/demo.py

check: ## The quick path, under two minutes: format, lint, types, the chassis' own tests, the law
	$(UV) lock --check --quiet
	$(RUN) ruff format --check
	$(RUN) ruff check
	$(RUN) ty check
	$(RUN) python scripts/tested.py --check
	$(RUN) python scripts/pins.py --check
	$(PYTEST) -n $(QUICK_WORKERS) -m "not slow"

test: check ## Everything: strict types, and generated services that run their own checks
	$(RUN) basedpyright
	$(PYTEST) -n $(SLOW_WORKERS) -m "slow and not phoenix"

phoenix: ## Send a trace to Phoenix, and leave a picture of what people see there in build/phoenix.png
	$(RUN) pytest -m phoenix

bench: ## What generation, start-up, the guard and the service cost, side by side with bare libraries and LiteLLM
	$(RUN) python -m benchmarks

bench-evals: ## What evaluating costs, side by side with plain asyncio and pydantic-evals, and what judging costs
	$(RUN) python -m benchmarks.evaluation

fleet: ## How the repositories of REPOS stand, a folder of clones; see docs/how-to/standardize-many-teams.md
	@$(RUN) python -m fleet $(REPOS)

tested: ## Lift every library, write the versions down for new projects, and test with them
	$(UV) lock --upgrade
	$(RUN) python scripts/tested.py
	$(MAKE) test

pins: ## Write pins.toml into all workflows
	$(RUN) python scripts/pins.py

reference: ## Write what follows from the code: the pages of docs/reference, and the questions for cookiecutter
	PYTHONPATH=$(HELPERS) $(RUN) python -m reference_pages
	$(RUN) python scripts/cookiecutter_questions.py

updates: ## Update edited repositories of former releases, and write down what was lost (nothing)
	PYTHONPATH=$(HELPERS) $(RUN) python -m update_matrix

faults: ## Let everything go wrong once, and write docs/reference/faults.md
	PYTHONPATH=$(HELPERS) $(RUN) python -m fault_page

storm: ## Ten thousand requests, three replicas, a vendor that fails, and a kill: what is lost?
	PYTHONPATH=$(HELPERS) $(RUN) python -m storm

histories: ## Ten thousand histories of money on SQLite, and as many on PostgreSQL: is one cent wrong in any?
	LEDGER_HISTORIES=10000 $(RUN) pytest template/chassis/tests/test_histories.py -k many_histories

accept: ## Run the starter evaluation of each shape, and write down what new services are compared with
	$(RUN) python scripts/accept.py

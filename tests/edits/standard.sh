#!/bin/sh
# What a team does to its repository in the first weeks. `make updates` runs this in the root of a generated service.
set -eu

# Two libraries of their own.
sed -i 's/^dependencies = \[$/&\n    "httpx2>=2.16",\n    "pyyaml>=6",/' pyproject.toml

# A README in their own words.
cat >README.md <<'END'
# Acme help

Answers what customers ask. Written by hand, and ours.
END

# Files that the linter should leave alone.
sed -i 's/^extend-exclude = \["chassis"/&, "notebooks"/' pyproject.toml

# Their own numbers.
sed -i 's/^deadline_seconds = [0-9]*/deadline_seconds = 15/; s/^due_hours = [0-9]*/due_hours = 4/' constraints.toml

# Their own words and code.
for task in src/*/task.py; do printf '\nVERSION = "ours"\n' >>"$task"; done
printf '"""What only we need."""\n' >"$(dirname "$task")/ours.py"

# A command, a workflow and a page of their own; what must not be committed.
printf '\ndeploy: ## Send it to our cluster\n\techo deployed\n' >>Makefile
printf 'name: deploy\non:\n  workflow_dispatch:\njobs: {}\n' >.github/workflows/deploy.yml
mkdir -p notes && printf '# How we work\n' >notes/team.md
printf '\n# Ours\nnotebooks/\n' >>.gitignore

# What they do without.
rm tests/test_search.py .github/workflows/evals.yml

#!/bin/sh
# Edits that make merges fail or produce wrong results, applied to every file of the team. `make updates` runs this in the
# root of a generated service. Even after such edits an update must not lose a line.
set -eu

# The same line as the template changes in later releases, and the lines next to it.
sed -i 's/^due_hours = .*/due_hours = 2   # we are fast/; s/^# What happens instead/# What we do instead/' constraints.toml
# Another line of the same file, and repeated blocks that a fuzzy merge would confuse.
sed -i 's/^max_body_bytes = [0-9]*/max_body_bytes = 32768/' constraints.toml
for number in 1 2 3; do printf '\n# block\n# the same\n# in each\n' >>Makefile; done

# CRLF line endings, tabs instead of spaces, sorted lines, no newline at the end of the file.
sed -i 's/$/\r/' README.md ownership.toml
sed -i 's/^    /\t/' pyproject.toml
sort -o .gitignore .gitignore
printf 'no line end' >>.env.example

# Moved, deleted, and rewritten under the same name.
for task in src/*/task.py; do mv "$task" "$(dirname "$task")/work.py"; done
for init in src/*/__init__.py; do printf 'from .work import *\n' >"$init"; done
mv tests checks
rm -r evals/accepted
rm .python-version
find . -name 'suites.toml' -exec sh -c 'printf "[suites]\n" >"$1"' sh {} \;

# Workflows: one renamed, one deleted.
mv .github/workflows/check.yml .github/workflows/ci.yml
rm .github/workflows/evals.yml

# Unusual names, modes, links and binary content.
mkdir -p 'notes for us' && printf 'ä\n' >'notes for us/größe 1.md'
chmod +x Makefile
ln -s README.md START.md
head -c 300 /dev/zero | tr '\0' '\377' >logo.bin

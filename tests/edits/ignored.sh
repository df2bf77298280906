#!/bin/sh
# A team's rules for git hide files that the chassis ships. `make updates` runs this in the root of a generated service.
set -eu

printf '*.md\n*.txt\n*.toml\n/ops/\n/.github/\nlib/\nmodels/\n' >>.gitignore
printf 'Ours, and not in git.\n' >notes.md

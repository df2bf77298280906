#!/bin/sh
# Edits of chassis files, which are forbidden, as a bot or a person in a hurry makes them. `chassis status` reports each of
# them. `make updates` measures the conflicts.
set -eu

# A bot updates every pin of the workflows.
sed -i 's/@[0-9a-f]\{40\} # v.*/@1111111111111111111111111111111111111111 # v99/' .github/workflows/*.yml

# A person appends a rule for the linter and changes a line of the README.
printf '# ours: we like it so\n' >>chassis/ruff.toml
sed -i '1s/$/ (ours)/' chassis/README.md

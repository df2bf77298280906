#!/bin/sh
# What the law of paths forbids: edits of the chassis, as a bot and a hurried person make them. `chassis status` names
# each of them, and an update has to merge. `make updates` shows what that costs.
set -eu

# A bot moves every pin of the workflows.
sed -i 's/@[0-9a-f]\{40\} # v.*/@1111111111111111111111111111111111111111 # v99/' .github/workflows/*.yml

# A person mends the linter's rules at their end, and a sentence of the README.
printf '# ours: we like it so\n' >>chassis/ruff.toml
sed -i '1s/$/ (ours)/' chassis/README.md

#!/bin/sh
# A team deletes whatever it can do without. `make updates` runs this in the root of a generated service.
set -eu

rm -r Makefile README.md AGENTS.md .env.example evals tests documents/*
rm -r ops compose.yaml .pre-commit-config.yaml .github/workflows

"""Who owns what, written once in `ownership.toml`, and the files that follow from it."""

"""The fleet report: the state of all repositories generated from this template, in one table.

`inspection` reads the repositories into `status`, `render` shows them. No code of a repository is imported or run, so a
broken or foreign repository is a row that says what is wrong with it.
"""

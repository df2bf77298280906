"""The fleet: how all repositories that were made from this template stand, in one table.

`look` reads one repository, `survey` many at once; `table` and `page` show what they found. Nothing of a repository is
imported or run, so that a broken or foreign one is a row that says what is wrong.
"""

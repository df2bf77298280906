"""The database, and one module for each kind of thing that is stored in it."""

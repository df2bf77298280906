"""The command `chassis`, one file for each of its commands."""

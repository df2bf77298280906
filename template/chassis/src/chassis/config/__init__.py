"""Reads each configuration file, and the environment, into one type."""

"""The files of decisions and the environment, each read into one type."""

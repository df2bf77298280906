"""Judges the records of a run by the rules of its suite: a function of files, without a clock, a network or a model."""

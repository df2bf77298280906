"""Shows whether the service answers well enough: cases, run, score, report, each from the one before."""

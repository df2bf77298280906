"""The evaluation report: built from the records of a run, kept as JSON, rendered as text, HTML and JUnit XML."""

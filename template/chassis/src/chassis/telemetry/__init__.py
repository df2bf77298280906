"""Logs, traces and metrics. None of them contains a question or an answer, except the content log in development."""

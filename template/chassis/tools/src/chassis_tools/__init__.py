"""The tools around a service, none of which serves a request: evaluation, launch review, governance, updates."""

"""Where the chassis came from, whether it was edited, and how to update it."""

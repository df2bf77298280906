"""Where the chassis came from, whether it is still as it was shipped, and how a newer one comes in."""

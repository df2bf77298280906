"""Who agreed to what, until when; and whether it is still what they agreed to."""

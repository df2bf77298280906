"""What may be processed, what may be sent where, and what is replaced by a placeholder before it is."""

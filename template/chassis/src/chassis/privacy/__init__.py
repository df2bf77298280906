"""What may be processed and sent where, and what is replaced by placeholders before it is sent."""

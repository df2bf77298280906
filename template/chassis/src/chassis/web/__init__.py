"""The HTTP door: who may come in, how much, and what they are told."""

"""Budgets: what a request may cost, what is reserved for it, and what was spent."""

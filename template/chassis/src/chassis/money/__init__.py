"""Money: budgets, prices, and the ledger in which money is reserved and settled."""

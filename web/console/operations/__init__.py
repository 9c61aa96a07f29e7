"""Pages of operations: all, one, its beginning, and what its steps say."""

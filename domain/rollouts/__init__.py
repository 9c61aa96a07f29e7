"""Pure policies of rollouts: what the next move of an operation may be, and what it waits for."""

"""How often and how long a step of a host is looked at."""

SESSION_S = 20.0
"""One connection watches a step for so long; then others get their turn."""

POLL_FIRST_S = 0.1

POLL_MAX_S = 2.0

POLL_GROWTH = 1.3

"""How often and how long a step that runs on a host is watched."""

from runners.scheduling.backoff import Pauses

SESSION_S = 20.0
"""One connection watches a step for so long; then other hosts get its slot."""
POLL_PAUSES = Pauses(0.1, 2.0, growth=1.3)
"""Between two looks at a step that runs."""

"""The two databases of the log: connections, locks, commits (its SQL is in `recorder.py`)."""

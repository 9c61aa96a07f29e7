"""Bodies and records of windows and schedules."""

"""Windows and schedules."""

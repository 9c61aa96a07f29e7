"""Windows and schedules over HTTP."""

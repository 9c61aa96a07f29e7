"""Windows and schedules as GET serves them."""

"""Windows and schedules: when operations may start hosts, and when they begin by themselves."""

"""What is planned ahead: windows of time, and schedules."""

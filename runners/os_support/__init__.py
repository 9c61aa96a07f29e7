"""What the operating system is asked for: files, locks, clocks, memory, log lines."""

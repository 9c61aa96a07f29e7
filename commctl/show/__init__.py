"""What a terminal and what a pipe gets: clean text, times, tables, and forms for programs."""

"""What happened, and how it was: histories, the slider over the log, differences, charts."""

"""Tables that follow the log, and are made anew."""

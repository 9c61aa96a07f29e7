"""Tables that follow the log, and how they are made anew and compared with it."""

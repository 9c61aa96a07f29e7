"""An operation is watched to its end: in place on a terminal, line by line in a pipe."""

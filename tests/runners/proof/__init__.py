"""Keys, signatures and marks of the log."""

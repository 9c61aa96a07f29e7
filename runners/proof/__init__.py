"""What shows to others that the log was not rewritten: keys, signatures, and marks."""

"""Stories with several processes on one log."""

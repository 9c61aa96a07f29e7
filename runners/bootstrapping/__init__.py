"""Sets hosts up for their networks: the steps, and files of steps for each system."""

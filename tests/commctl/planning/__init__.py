"""`commctl window`, `commctl schedule`, `--window` and `--gate`."""

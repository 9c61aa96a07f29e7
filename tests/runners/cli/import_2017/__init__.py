"""The way over from a service of 2017."""

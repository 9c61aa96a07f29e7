"""The service as a whole: composed, started, supervised, and stopped."""

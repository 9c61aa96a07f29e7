"""The read models, on both engines."""

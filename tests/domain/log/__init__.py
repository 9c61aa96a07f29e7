"""The log and its writer, on both engines."""

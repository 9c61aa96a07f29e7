"""Judges of the stories: what was promised, and whether it was kept."""

"""What takes hosts away a part at a time: waves, and what they share."""

"""What data directories of older versions are like, and what this version makes of them."""

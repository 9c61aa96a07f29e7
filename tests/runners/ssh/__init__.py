"""SSH to real, slow, and hostile hosts."""

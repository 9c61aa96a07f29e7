"""What the service is measured against: what a good engineer would build instead."""

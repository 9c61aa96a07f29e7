"""What each aggregate decides."""

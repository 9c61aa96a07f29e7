"""Who works on what, among several processes."""

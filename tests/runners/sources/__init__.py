"""External inventories."""

"""Commands that span aggregates."""

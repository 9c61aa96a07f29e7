"""Commands about hosts: one, many, their care and their keys."""

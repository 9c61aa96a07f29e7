"""Webhooks: what is sent, to real receivers, and what becomes of it when they are not well."""

"""Webhooks: what each is, how far it has come, and which event is sent next."""

"""The HTTP API: parsing, authentication, and refusals turned into problems."""

"""The operators' command line, and a client of the API for programs of one's own."""

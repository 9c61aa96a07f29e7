"""The resources of accounts over HTTP."""

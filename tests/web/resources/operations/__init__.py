"""The resources of operations over HTTP."""

"""The handlers of the resources, one file for each kind."""

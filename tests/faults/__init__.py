"""The service among crowds, crashes and outages: what was answered stays, nothing is half."""

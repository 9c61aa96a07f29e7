"""`commissaire log …`."""

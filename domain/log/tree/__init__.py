"""The log as a Merkle tree (RFC 6962): what shows that nothing of it was rewritten."""

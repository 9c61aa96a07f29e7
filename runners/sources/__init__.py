"""External inventories: their plug-ins, and the pollers that ask them about hosts."""

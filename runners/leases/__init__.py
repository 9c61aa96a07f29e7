"""Which process works on which keys: leases of shards, and their balance."""

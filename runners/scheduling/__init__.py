"""Work that is due: the queue, its pauses, and the protocols of process managers."""

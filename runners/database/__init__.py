"""The database: opened, backed up, checkpointed, and its read models made anew."""

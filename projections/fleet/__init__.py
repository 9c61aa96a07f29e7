"""The fleet as people look at it: wide host records, and counts that are kept up host by host."""

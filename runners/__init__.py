"""Everything that runs: SSH, the vault, settings, the command line, the composition root."""

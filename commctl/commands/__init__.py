"""The commands, a file for each noun or for verbs that belong together."""

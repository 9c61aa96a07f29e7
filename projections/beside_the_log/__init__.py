"""What is kept beside the log, because it is no event: heartbeats, outputs, reports of nodes."""

"""What is done beside the work of the service."""

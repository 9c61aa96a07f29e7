"""What it costs to look after hosts: to set them up, to look at them, and to upgrade them."""

"""The console: pages for people, made of what the API knows, readable without script."""

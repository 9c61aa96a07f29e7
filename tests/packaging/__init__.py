"""What `make dist` builds: the same bytes each time, and it installs, serves, and goes again."""

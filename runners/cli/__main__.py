"""`python -m runners.cli` is the `commissaire` command."""

from runners.cli.main import main

main()

"""`python -m commctl` is `commctl`."""

from commctl.main import main

main()

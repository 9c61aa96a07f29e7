"""`python -m tests.fleet` is the demonstration."""

import sys

from tests.fleet.demo import main

sys.exit(main())

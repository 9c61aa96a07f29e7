"""What schemathesis cannot make up by itself (it imports this by `SCHEMATHESIS_HOOKS`)."""

import os

import schemathesis
from hypothesis import strategies as st

# Few, so that the same one comes again for the same host.
KEYS = os.environ["PRIVATE_KEYS"].split()

schemathesis.openapi.format("ssh-private-key", st.sampled_from(KEYS))

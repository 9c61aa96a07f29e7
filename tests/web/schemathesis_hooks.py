"""What schemathesis cannot make up by itself (it imports this by `SCHEMATHESIS_HOOKS`)."""

import schemathesis
from hypothesis import strategies as st

from tests.web.service import base64_of, new_key

# Few, so that the same one comes again for the same host.
KEYS = [base64_of(new_key()) for _ in range(2)]

schemathesis.openapi.format("ssh-private-key", st.sampled_from(KEYS))

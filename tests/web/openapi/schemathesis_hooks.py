"""What schemathesis cannot make up by itself (it imports this by `SCHEMATHESIS_HOOKS`)."""

import os
from base64 import urlsafe_b64encode
from datetime import datetime

import schemathesis
from hypothesis import strategies as st

# Few, so that the same one comes again for the same host.
KEYS = os.environ["PRIVATE_KEYS"].split()
# A schema cannot say that a time is not to come.
PAST = st.datetimes(max_value=datetime(2026, 1, 1))  # noqa: DTZ001 - `Z` is added

schemathesis.openapi.format("ssh-private-key", st.sampled_from(KEYS))
schemathesis.openapi.format("page-end", st.just(urlsafe_b64encode(b'["","10.0.0.1"]').decode()))
schemathesis.openapi.format("date-time", PAST.map(lambda time: f"{time.isoformat()}Z"))

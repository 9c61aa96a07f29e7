"""What a service does not need is not loaded."""

import subprocess
import sys


def test_the_driver_of_postgresql_is_not_loaded_where_the_database_is_sqlite() -> None:
    names = "import sys, runners.service.serve; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", names], capture_output=True, check=True, text=True, timeout=60
    )
    loaded = set(done.stdout.split())
    assert "runners.service.serve" in loaded
    assert "psycopg" not in loaded

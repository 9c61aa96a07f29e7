"""The clock that leases are measured with."""

import time


def since_boot() -> float:
    """Seconds that went by, those included in which the machine was suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)

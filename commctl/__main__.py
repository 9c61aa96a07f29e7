"""Where `commctl` begins: Ctrl-C ends it in a line, also while its modules are still being read."""

import os
import signal
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130


def main() -> NoReturn:
    """The `commctl` command."""
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not of `nohup`, say
    if is_ours:
        signal.signal(signal.SIGINT, _end_here)
    from commctl.main import main as run

    try:
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        run()
    except KeyboardInterrupt:
        _end_here()
    finally:  # nor does Python, which cleans up, say more
        if is_ours:
            signal.signal(signal.SIGINT, _end_here)


def _end_here(_number: int = signal.SIGINT, _frame: FrameType | None = None) -> NoReturn:
    start = "\n" if os.isatty(2) else ""  # after the ^C
    os.write(2, f"{start}commctl: interrupted\n".encode())
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()

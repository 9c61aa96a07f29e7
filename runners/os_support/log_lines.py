"""The service's log: one line per thing that happened, on stderr.

JSON for machines, `{"time", "level", "event", …}`, or text for people. A reader that is slow or
gone never holds the service up: lines wait in a bounded backlog, and then are dropped and counted.
"""

import asyncio
import json
import logging
import os
import select
import stat
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import PurePath
from typing import Literal

import orjson

from domain.log.recorder import now
from runners.os_support.terminal_text import escaped

# Pipes take so much at once or not at all, so lines of several processes do not mix.
LINE_BYTES_MAX = select.PIPE_BUF
# A value of a line that is too long is cut to this.
VALUE_CHARACTERS_MAX = 500
BACKLOG_BYTES_MAX = 4 * 1024 * 1024
# How often the backlog is tried again where the reader gives no sign.
RETRY_S = 0.5

LogFormat = Literal["json", "text"]
Level = Literal["debug", "info", "warning", "error", "critical"]


class ServiceLog:
    """Writes log lines to a file descriptor; from any thread, and without ever waiting for it."""

    def __init__(self, stream_fd: int, log_format: LogFormat = "json") -> None:
        self.dropped = 0
        """Lines that nobody read in time, since the start: a counter, which never goes down."""
        self._dropped_told = 0
        self._stream_fd = stream_fd
        self._encode = _json_line if log_format == "json" else _text_line
        self._lock = threading.Lock()
        self._gathered: list[bytes] = []
        """Lines of this turn of the event loop, which are written at its end."""
        self._backlog: deque[bytes] = deque()
        self._backlog_bytes = 0
        self._drainer: threading.Thread | None = None
        self._poll = select.poll()
        self._poll.register(stream_fd, select.POLLOUT)
        # A file always is, as poll() would say at the price of a system call for each line.
        self._always_ready = stat.S_ISREG(os.fstat(stream_fd).st_mode)

    def write(self, event: str, /, level: Level = "info", **fields: object) -> None:
        """Writes a line: what happened, and the fields that tell more. Never raises."""
        line = self._encoded(event, level, fields)
        with self._lock:
            self._write_gathered()
            self._write_or_put_off(line)

    def gather(self, event: str, /, level: Level = "info", **fields: object) -> None:
        """`write`, with all lines of a turn of the event loop at once: for lines of requests, of
        which there are thousands a second. Only on the event loop's thread."""
        line = self._encoded(event, level, fields)
        with self._lock:
            is_first = not self._gathered
            self._gathered.append(line)
        if is_first:
            asyncio.get_running_loop().call_soon(self._end_turn)

    def _end_turn(self) -> None:
        with self._lock:
            self._write_gathered()

    def _encoded(self, event: str, level: Level, fields: Mapping[str, object]) -> bytes:
        head: dict[str, object] = {"time": now(), "level": level, "event": event}
        line = self._encode({**head, **fields})
        return line if len(line) <= LINE_BYTES_MAX else self._encode(_shortened(head, fields))

    def _write_gathered(self) -> None:
        """In pieces that a pipe takes at once."""
        lines, self._gathered = self._gathered, []
        piece: list[bytes] = []
        left = LINE_BYTES_MAX
        for line in lines:
            if len(line) > left:
                self._write_or_put_off(b"".join(piece))
                piece, left = [], LINE_BYTES_MAX
            piece.append(line)
            left -= len(line)
        if piece:
            self._write_or_put_off(b"".join(piece))

    def _write_or_put_off(self, lines: bytes) -> None:
        if self._backlog or not self._write(lines):
            self._put_off(lines)

    def close(self, timeout_s: float = 1.0) -> None:
        """Waits, but not for long, until what is in the backlog has been written."""
        self._end_turn()
        until = time.monotonic() + timeout_s
        drainer = self._drainer
        if drainer is not None:
            drainer.join(max(0.0, until - time.monotonic()))

    def _write(self, line: bytes) -> bool:
        """Whether the line is dealt with: False means that the reader is not ready for it."""
        try:
            # A pipe that is ready takes PIPE_BUF bytes without blocking; O_NONBLOCK would do as
            # well, but it would change the terminal for everybody who has it open.
            if not (self._always_ready or self._poll.poll(0)):
                return False
            written = os.write(self._stream_fd, line)
        except BlockingIOError:
            return False
        except OSError:
            # The reader is gone, or the disk is full: there is nobody left to tell.
            self.dropped += line.count(b"\n")
            return True
        if written < len(line):
            self._backlog.appendleft(line[written:])
            self._backlog_bytes += len(line) - written
            self._start_drainer()
        return True

    def _put_off(self, line: bytes) -> None:
        if self._backlog_bytes + len(line) > BACKLOG_BYTES_MAX:
            self.dropped += line.count(b"\n")
            return
        self._backlog.append(line)
        self._backlog_bytes += len(line)
        self._start_drainer()

    def _start_drainer(self) -> None:
        if self._drainer is None:
            self._drainer = threading.Thread(target=self._drain, name="log-backlog", daemon=True)
            self._drainer.start()

    def _drain(self) -> None:
        """Writes the backlog as the reader takes it, then says how many lines were dropped."""
        ready = select.poll()
        ready.register(self._stream_fd, select.POLLOUT)
        while True:
            ready.poll(RETRY_S * 1000)
            with self._lock:
                while self._backlog:
                    line = self._backlog.popleft()
                    self._backlog_bytes -= len(line)
                    if not self._write(line):
                        self._backlog.appendleft(line)
                        self._backlog_bytes += len(line)
                        break
                if not self._backlog:
                    self._drainer = None
                    break
        self._tell_what_was_dropped()

    def _tell_what_was_dropped(self) -> None:
        with self._lock:
            dropped, self._dropped_told = self.dropped - self._dropped_told, self.dropped
        if dropped:
            self.write("log.dropped", level="warning", lines=dropped)


class LoggingBridge(logging.Handler):
    """Brings what libraries say through the `logging` module into the log lines."""

    def __init__(self, lines: ServiceLog) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record: its message and, of an exception, only what and where: no trace."""
        fields: dict[str, object] = {"logger": record.name}
        try:
            fields["message"] = record.getMessage()
        except Exception:  # noqa: BLE001 - a library's mistake in its own log call
            fields["message"] = str(record.msg)
        if record.exc_info and record.exc_info[1]:
            fields |= described(record.exc_info[1])
        self._lines.write("log", level=_level(record.levelno), **fields)


def bridge_logging(lines: ServiceLog, level: int = logging.WARNING) -> None:
    """Makes `lines` the only place where the `logging` module and `warnings` write to."""
    root = logging.getLogger()
    root.handlers[:] = [LoggingBridge(lines)]
    root.setLevel(level)
    logging.captureWarnings(True)


def described(error: BaseException) -> dict[str, str]:
    """What a log line may say of an exception: its kind, first line and place.

    Not the stack, and not the other lines: there some libraries quote what they were given.
    """
    first = str(error).partition("\n")[0][:VALUE_CHARACTERS_MAX]
    fields = {"error": f"{type(error).__name__}: {first}" if first else type(error).__name__}
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is not None:
        place = PurePath(trace.tb_frame.f_code.co_filename)
        fields["where"] = f"{place.parent.name}/{place.name}:{trace.tb_lineno}"
    return fields


def _level(number: int) -> Level:
    levels: tuple[Level, ...] = ("debug", "info", "warning", "error", "critical")
    return levels[min(max(number // 10 - 1, 0), 4)]


def _json_line(record: Mapping[str, object]) -> bytes:
    try:
        line = orjson.dumps(record, default=str, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        # Lone surrogates, huge integers: rare, and no reason to lose a line.
        line = b"\xff"
    # Pure ASCII, so that no terminal takes a character of it for a command.
    if line.isascii():
        return line
    return json.dumps(record, default=str, separators=(",", ":"), skipkeys=True).encode() + b"\n"


def _text_line(record: Mapping[str, object]) -> bytes:
    fields = dict(record)
    head = f"{fields.pop('time')} {fields.pop('level'):<8} {escaped(str(fields.pop('event')))}"
    rest = "".join(f" {escaped(name)}={_quoted(value)}" for name, value in fields.items())
    return (head + rest + "\n").encode()


def _quoted(value: object) -> str:
    """A value as people read it, in quotes where it would not end clearly."""
    text = value if isinstance(value, str) else str(value)
    if text.isprintable() and text and not any(c in text for c in ' "=\\'):
        return text
    return '"' + escaped(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def _shortened(head: dict[str, object], fields: Mapping[str, object]) -> dict[str, object]:
    """The record of a line that would be too long: its values cut, then its fields left out."""
    record = dict(head)
    left = LINE_BYTES_MAX - 200
    for name, value in fields.items():
        simple = value is None or isinstance(value, bool | float | int)
        text = value if simple else str(value)[:VALUE_CHARACTERS_MAX]
        left -= len(json.dumps({name: text}))
        if left < 0:
            return {**record, "cut": True}
        record[name] = text
    return {**record, "cut": True}

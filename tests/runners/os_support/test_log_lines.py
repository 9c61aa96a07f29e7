"""Log lines: whole, readable, and never in the way of the service."""

import asyncio
import json
import logging
import os
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.os_support.log_lines import (
    BACKLOG_BYTES_MAX,
    LINE_BYTES_MAX,
    LogFormat,
    ServiceLog,
    bridge_logging,
)

LIMIT_S = 60.0
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}"


def fail(message: str) -> None:
    raise ValueError(message)


class Pipe:
    """A pipe, and what has been read of it."""

    def __init__(self) -> None:
        self.out, self.into = os.pipe()
        self.text = b""

    def read(self, enough: Callable[[bytes], bool]) -> bytes:
        until = time.monotonic() + LIMIT_S
        while not enough(self.text):
            assert time.monotonic() < until
            self.text += os.read(self.out, 1 << 20)
        return self.text

    def line(self) -> str:
        return self.read(lambda text: text.endswith(b"\n")).decode()

    def close(self) -> None:
        with suppress(OSError):
            os.close(self.out)
        # Who still writes a backlog finds nobody there, and must end before its descriptor is
        # another test's.
        for thread in threading.enumerate():
            if thread.name == "log-backlog":
                thread.join(LIMIT_S)
        with suppress(OSError):
            os.close(self.into)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def written(log_format: LogFormat, tmp_path: Path, event: str, **fields: object) -> str:
    path = tmp_path / "log"
    with path.open("wb") as file:
        ServiceLog(file.fileno(), log_format).write(event, **fields)  # type: ignore[arg-type]
    return path.read_bytes().decode()


def test_a_json_line_has_time_level_event_and_fields(pipe: Pipe) -> None:
    ServiceLog(pipe.into).write("host.registered", level="warning", address="10.0.0.7", n=1)
    record = json.loads(pipe.line())
    assert list(record) == ["time", "level", "event", "address", "n"]
    assert re.fullmatch(TIME, record.pop("time"))
    assert record == {"level": "warning", "event": "host.registered", "address": "10.0.0.7", "n": 1}


def test_a_text_line_is_for_people(pipe: Pipe) -> None:
    ServiceLog(pipe.into, "text").write("host.registered", address="10.0.0.7", why='no "key"')
    line = pipe.line()
    assert re.fullmatch(
        TIME + r' info     host\.registered address=10\.0\.0\.7 why="no \\"key\\""\n', line
    )


@given(
    text=st.text(),
    log_format=st.sampled_from(["json", "text"]),
)
def test_no_value_ends_the_line_or_commands_a_terminal(text: str, log_format: LogFormat) -> None:
    pipe = Pipe()
    try:
        ServiceLog(pipe.into, log_format).write(text, value=text)
        line = pipe.line()
    finally:
        pipe.close()
    assert line.endswith("\n")
    assert "".join(c for c in line[:-1] if c != "\x7f").isprintable()


@pytest.mark.parametrize("value", ["\ud800", 1 << 70, float("nan"), {1: 2}, {"a"}, b"x", object()])
@pytest.mark.parametrize("log_format", ["json", "text"])
def test_values_of_any_kind_make_a_line(
    tmp_path: Path, log_format: LogFormat, value: object
) -> None:
    assert written(log_format, tmp_path, "event", value=value).count("\n") == 1


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_long_line_is_cut_so_that_it_is_written_whole(
    tmp_path: Path, log_format: LogFormat
) -> None:
    many = {f"field{n}": "\u202e" * 10_000 for n in range(50)}
    line = written(log_format, tmp_path, "event", **many)
    assert len(line.encode()) <= LINE_BYTES_MAX
    assert "cut" in line
    if log_format == "json":
        assert json.loads(line)["cut"] is True


def test_lines_of_many_threads_do_not_mix(pipe: Pipe) -> None:
    lines = ServiceLog(pipe.into)

    def write_lines() -> None:
        for _ in range(100):
            lines.write("event", pad="x" * 1000)

    threads = [threading.Thread(target=write_lines) for _ in range(8)]
    for thread in threads:
        thread.start()
    text = pipe.read(lambda text: text.count(b"\n") == 800)
    assert {json.loads(line)["event"] for line in text.splitlines()} == {"event"}
    for thread in threads:
        thread.join()


def test_a_reader_that_is_slow_gets_every_line_in_order_and_holds_nobody_up(pipe: Pipe) -> None:
    lines = ServiceLog(pipe.into)
    for number in range(2000):
        lines.write("event", number=number, pad="x" * 200)
    text = pipe.read(lambda text: text.count(b"\n") == 2000)
    assert [json.loads(line)["number"] for line in text.splitlines()] == list(range(2000))


def test_a_reader_that_sleeps_costs_lines_but_is_told_how_many(pipe: Pipe) -> None:
    lines = ServiceLog(pipe.into)
    sent = BACKLOG_BYTES_MAX // 2000
    for _ in range(sent):
        lines.write("event", pad="x" * 3000)
    assert lines.dropped > 0
    text = pipe.read(lambda text: b"log.dropped" in text and text.endswith(b"\n"))
    records = [json.loads(line) for line in text.splitlines()]
    assert len(records) - 1 + records[-1]["lines"] == sent
    assert lines.dropped == records[-1]["lines"]


def test_lines_that_are_dropped_after_a_warning_are_counted_on_and_told_apart(pipe: Pipe) -> None:
    lines = ServiceLog(pipe.into)
    told = []
    for _ in range(2):
        before = lines.dropped
        for _ in range(BACKLOG_BYTES_MAX // 2000):
            lines.write("event", pad="x" * 3000)
        assert lines.dropped > before
        text = pipe.read(lambda text: b"log.dropped" in text and text.endswith(b"\n"))
        told.append(json.loads(text.splitlines()[-1])["lines"])
    assert lines.dropped == sum(told)


def test_a_reader_that_is_gone_is_no_error(pipe: Pipe) -> None:
    lines = ServiceLog(pipe.into)
    os.close(pipe.out)
    lines.write("event")
    os.close(pipe.into)
    lines.write("event")
    assert lines.dropped == 2


async def test_lines_of_one_turn_are_written_at_once_and_before_whatever_comes_then(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, writes = ServiceLog(pipe.into), []
    write = os.write

    def counted(descriptor: int, text: bytes) -> int:
        writes.append(text)
        return write(descriptor, text)

    monkeypatch.setattr(os, "write", counted)
    for number in range(100):
        lines.gather("event", number=number, pad="x" * 300)
    assert writes == []
    await asyncio.sleep(0)
    assert b"".join(writes).count(b"\n") == 100
    assert max(map(len, writes)) <= LINE_BYTES_MAX, "a pipe takes each whole"
    assert len(writes) < 20
    lines.gather("event", number=100)
    lines.write("event", number=101)
    lines.gather("event", number=102)
    lines.close()
    told = [json.loads(line)["number"] for line in b"".join(writes).splitlines()]
    assert told == list(range(103))


async def test_gathered_lines_that_nobody_reads_are_each_counted(pipe: Pipe) -> None:
    lines = ServiceLog(pipe.into)
    os.close(pipe.out)
    for _ in range(50):
        lines.gather("event")
    await asyncio.sleep(0)
    assert lines.dropped == 50


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.mark.usefixtures("root_logger")
def test_what_libraries_log_comes_as_a_line_with_its_level(pipe: Pipe) -> None:
    bridge_logging(ServiceLog(pipe.into))
    logging.getLogger("some.library").info("not worth a line")
    logging.getLogger("some.library").error("cannot %s", "listen\nhere")
    record = json.loads(pipe.line())
    del record["time"]
    assert record == {
        "level": "error",
        "event": "log",
        "logger": "some.library",
        "message": "cannot listen\nhere",
    }


@pytest.mark.usefixtures("root_logger")
def test_an_exception_is_told_by_kind_and_place_without_a_trace(pipe: Pipe) -> None:
    bridge_logging(ServiceLog(pipe.into))
    try:
        fail("first line\nsecond line with what was given")
    except ValueError:
        logging.getLogger("some.library").exception("it failed")
    record = json.loads(pipe.line())
    assert record["error"] == "ValueError: first line"
    assert re.fullmatch(r"os_support/test_log_lines\.py:\d+", record["where"])
    assert "Traceback" not in pipe.text.decode()
    assert "second line" not in pipe.text.decode()


@pytest.mark.usefixtures("root_logger")
def test_a_log_call_that_is_wrong_itself_makes_a_line(pipe: Pipe) -> None:
    bridge_logging(ServiceLog(pipe.into))
    logging.getLogger("some.library").error("two %s %s", "one")  # noqa: PLE1206 - the mistake
    assert json.loads(pipe.line())["message"] == "two %s %s"


@pytest.mark.usefixtures("root_logger")
def test_warnings_of_python_come_as_lines(pipe: Pipe) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        bridge_logging(ServiceLog(pipe.into))
        warnings.warn("old", stacklevel=1)
        assert json.loads(pipe.line())["level"] == "warning"
        logging.captureWarnings(False)

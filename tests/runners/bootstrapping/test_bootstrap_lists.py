"""Step files: what they may say, and what is wrong with those that are refused."""

from pathlib import Path
from typing import get_args

import pytest

from domain.aggregates.host_events import FactsGathered
from domain.commands.bootstrap import Wanted
from runners.bootstrapping.rendered_step import ReadyStep, Unusable, probe, ready, values_of
from runners.bootstrapping.step_files import (
    Step,
    System,
    WrongSteps,
    built_in,
    read_lists,
    steps_for,
)
from runners.ssh.command import Output, command_line
from runners.ssh.failure import SshFailure
from runners.steps import detached_step

ARGUMENT_BYTES_MAX = 128 * 1024
"""Of Linux: MAX_ARG_STRLEN."""
HEAD = 'systems = ["fedora"]\n'
STEP = '[[steps]]\nname = "one"\n'
WORKS = f'{HEAD}{STEP}unless = [["test", "-e", "/x"]]\ncommands = [["touch", "/x"]]\n'
FILE = f'{HEAD}{STEP}[[steps.files]]\npath = "/etc/x"\ncontent = "x"\n'


def facts(os: str, version: str) -> FactsGathered:
    return FactsGathered(os, version, 1, 1, 1, "boot-1")


def directory(tmp_path: Path, **texts: str) -> str:
    for name, text in texts.items():
        (tmp_path / f"{name}.toml").write_text(text)
    return str(tmp_path)


def test_what_we_bring_has_steps_for_every_system_and_every_type_of_network() -> None:
    lists = built_in()
    assert sorted(lists) == sorted(get_args(System))
    for system in lists:
        for kind, options in (
            ("flannel_etcd", {"endpoints": "http://10.0.0.1:2379"}),
            ("flannel_server", {"address": "10.0.0.1:8888"}),
        ):
            found = steps_for(lists, facts(system, "7"), kind)
            assert found, system
            made = [ready(step, values_of(Wanted("blue", kind, options))) for step in found]
            assert any(
                next(iter(options.values())) in file.content for step in made for file in step.files
            )
            assert all("@" not in file.content for step in made for file in step.files)
            assert probe(made, "nonce")


def test_a_step_is_for_the_versions_that_it_names() -> None:
    lists = built_in()
    names = {
        version: [
            step.name for step in steps_for(lists, facts("rhel", version), "flannel_etcd") or ()
        ]
        for version in ("7.9", "9.4", "")
    }
    assert names["7.9"] == ["repositories", "packages", "services"]
    assert names["9.4"] == names[""] == ["packages", "services"]


def test_none_is_no_list_at_all_and_nothing_is_what_we_bring() -> None:
    assert read_lists("none") is None
    assert read_lists(None) == built_in()


def test_a_directory_stands_in_place_of_ours_for_the_systems_that_it_names(tmp_path: Path) -> None:
    lists = read_lists(directory(tmp_path, mine=WORKS))
    assert lists is not None
    assert [step.name for step in lists["fedora"]] == ["one"]
    assert lists["debian"] == built_in()["debian"]


@pytest.mark.parametrize(
    ("where", "names"),
    [("first", ["packages", "services", "one"]), ("last", ["one", "packages", "services"])],
)
def test_a_file_may_come_before_ours_or_after(where: str, names: list[str], tmp_path: Path) -> None:
    lists = read_lists(directory(tmp_path, mine=f'builtin = "{where}"\n{WORKS}'))
    assert lists is not None
    assert [step.name for step in lists["fedora"]] == names


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("systems = [", "mine.toml: it is not TOML: "),
        (STEP, "mine.toml: systems: Field required"),
        ('systems = ["beos"]', "mine.toml: systems.0: Input should be 'fedora', "),
        (f"{WORKS}comand = 1\n", "mine.toml: steps.0.comand: Extra inputs are not permitted"),
        (HEAD + STEP, "mine.toml: steps.0: does nothing: it needs files or commands"),
        (
            f'{HEAD}{STEP}commands = [["true"]]\n',
            "mine.toml: steps.0: needs `unless`: how else would anybody see whether it was done?",
        ),
        (
            WORKS.replace("touch", "@address@"),
            "mine.toml: steps.0: the network's values are for the content of files only: let ",
        ),
        (WORKS.replace('"touch"', '"to\\u0000uch"'), "mine.toml: steps.0: a word of a command "),
        (WORKS.replace("one", "../one"), "mine.toml: steps.0.name: String should match pattern"),
        (FILE.replace("/etc/x", "/etc/../x"), "mine.toml: steps.0.files.0.path: String should"),
        (FILE.replace("/etc/x", "etc/x"), "mine.toml: steps.0.files.0.path: String should match"),
        (f'{FILE}mode = "u+s"\n', "mine.toml: steps.0.files.0.mode: String should match pattern"),
        (f'{FILE}owner = "root"\n', "mine.toml: steps.0.files.0.owner: String should match"),
        (
            FILE.replace('"x"', '"@endpoint@"'),
            "mine.toml: steps.0.files.0: there is no value @endpoint@: there are network,",
        ),
        (FILE + FILE.removeprefix(HEAD), "mine.toml: there are two steps 'one'"),
        (
            FILE.replace('"x"', f'"{"x" * 33_000}"'),
            "mine.toml: steps.0: is longer than 32768 characters: make it several",
        ),
        ("#" * 300_000, "mine.toml: it is longer than 262144 bytes"),
    ],
)
def test_a_wrong_file_is_refused_with_a_sentence_that_names_the_place(
    text: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(WrongSteps) as wrong:
        read_lists(directory(tmp_path, mine=text))
    assert str(wrong.value).startswith(sentence)


def test_two_files_for_one_system_and_a_directory_that_is_not_there_are_refused(
    tmp_path: Path,
) -> None:
    with pytest.raises(WrongSteps, match=r"b\.toml: fedora has its steps in a\.toml already"):
        read_lists(directory(tmp_path, a=WORKS, b=WORKS))
    with pytest.raises(WrongSteps, match="it cannot be read: No such file or directory"):
        read_lists(str(tmp_path / "missing"))
    with pytest.raises(WrongSteps, match="there is no such home directory"):
        read_lists("~nobodyatall/steps")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("prefix", '/x"; touch /pwned; "'),
        ("prefix", "/x$(touch /pwned)"),
        ("ca_path", "/etc/ca.pem\nExecStartPre=/bin/sh"),
        ("ca_path", "/etc/`id`"),
        ("endpoints", "http://10.0.0.1:2379/%n"),
        ("endpoints", ["http://10.0.0.1:2379", "http://x'"]),
        ("address", "$HOME:8080"),
    ],
)
def test_a_value_that_means_something_to_a_shell_or_a_file_of_settings_is_never_written(
    key: str, value: object
) -> None:
    with pytest.raises(Unusable, match=f"options.{key} of network blue has characters"):
        values_of(Wanted("blue", "flannel_etcd", {"endpoints": "http://10.0.0.1:2379", key: value}))


class Line:
    """A session that keeps the line that it was to run."""

    def __init__(self) -> None:
        self.sent = ""

    async def run(self, script: str) -> Output:
        self.sent = command_line(script)
        raise SshFailure("dropped", "It is enough.", passing=True)


def long(content: str) -> ReadyStep:
    """A step that writes this."""
    step = {"name": "one", "files": [{"path": "/etc/x", "content": content}]}
    wanted = Wanted("blue", "flannel_server", {"address": "10.0.0.1:8888"})
    return ready(Step.model_validate(step), values_of(wanted))


async def test_the_longest_step_is_sent_as_one_argument() -> None:
    line, run = Line(), "x" * 36
    with pytest.raises(SshFailure):
        await detached_step.start(line, run, long("x ü\n" * 8000).commands(run))
    assert 32_000 < len(line.sent.encode()) < ARGUMENT_BYTES_MAX


def test_what_becomes_too_long_by_being_quoted_is_refused() -> None:
    with pytest.raises(Unusable, match="Step 'one' is too long to be sent at once"):
        long("'" * 20_000)

"""Manual pages and completions, made from the commands themselves: `python -m commctl.manual`."""

from pathlib import Path
from typing import Any

import typer

from commctl.main import COMMON, COMPLETE_VARIABLE, PROGRAM, whole

SHIPPED = Path(__file__).parent / "shipped"
SHELLS = ("bash", "zsh", "fish")


def completion_script(shell: str) -> str:
    """What a shell reads, to ask us for completions."""
    from typer._completion_shared import get_completion_script

    return get_completion_script(
        prog_name=PROGRAM, complete_var=COMPLETE_VARIABLE, shell=shell
    ).strip()


def complete() -> None:
    """Answer a shell that asks; `_COMMCTL_COMPLETE` says which."""
    from typer._completion_classes import completion_init

    completion_init()
    command: Any = typer.main.get_command(whole())
    command(prog_name=PROGRAM, complete_var=COMPLETE_VARIABLE)


def pages() -> dict[str, str]:
    """A page for `commctl` and one for each of its commands, by the name of its file."""
    root: Any = typer.main.get_command(whole())
    context = typer.Context(root, info_name=PROGRAM)
    found = {f"{PROGRAM}.1": _page(PROGRAM, root, context, COMMON)}
    for name, command in sorted(root.commands.items()):
        child = typer.Context(command, info_name=name, parent=context)
        found[f"{PROGRAM}-{name}.1"] = _page(f"{PROGRAM}-{name}", command, child, "")
    return found


def _page(title: str, command: Any, context: Any, epilog: str) -> str:
    lines = [f'.TH "{title.upper()}" "1"', ".SH NAME", f"{title} \\- {_roff(_first(command.help))}"]
    lines += [".SH SYNOPSIS", f".B {_roff(command.get_usage(context).removeprefix('Usage: '))}"]
    lines += [".SH DESCRIPTION", _roff(command.help or "")]
    lines += _options(command, context, ".SH OPTIONS")
    subcommands = getattr(command, "commands", {})
    if subcommands:
        lines.append(".SH COMMANDS")
    for name, sub in sorted(subcommands.items()):
        child = typer.Context(sub, info_name=name, parent=context)
        if context.parent is None:
            lines += [".TP", f".BR {_roff(title)}-{_roff(name)} (1)", _roff(_first(sub.help))]
            continue
        lines += [".SS " + _roff(sub.get_usage(child).removeprefix("Usage: "))]
        lines += [_roff(sub.help or ""), *_options(sub, child, "")]
        for inner, last in sorted(getattr(sub, "commands", {}).items()):
            deep = typer.Context(last, info_name=inner, parent=child)
            lines += [".SS " + _roff(last.get_usage(deep).removeprefix("Usage: "))]
            lines += [_roff(last.help or ""), *_options(last, deep, "")]
    if epilog:
        lines += [".SH EXIT STATUS", _roff(" ".join(epilog.split()))]
    return "\n".join(lines) + "\n"


def _options(command: Any, context: Any, heading: str) -> list[str]:
    lines = [heading] if heading else []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            lines += [".TP", f".B {_roff(record[0])}", _roff(record[1] or "")]
    return lines


def _first(text: str | None) -> str:
    return " ".join((text or "").strip().split("\n\n")[0].split()).rstrip(".")


def _roff(text: str) -> str:
    """A text in which nothing is a command of roff."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in ".'" else line for line in escaped.split("\n"))


def files() -> dict[str, str]:
    """What is shipped beside the program, by its place below `commctl/shipped`."""
    found = {f"man/{name}": text for name, text in pages().items()}
    return found | {f"completions/{PROGRAM}.{s}": f"{completion_script(s)}\n" for s in SHELLS}


def main() -> None:
    """Write them."""
    for name, text in files().items():
        path = SHIPPED / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()

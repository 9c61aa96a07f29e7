"""What the documents say, for tests that hold it against the service."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
OPERATING = ROOT / "docs" / "operating.md"
EXAMPLES = ROOT / "docs" / "examples"


def section(document: Path, heading: str) -> str:
    """What stands below a heading, up to the next of its level or above."""
    level = heading.partition(" ")[0]
    _, found, rest = document.read_text().partition(f"\n{heading}\n")
    assert found, f"{document.name} has no {heading!r}"
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def shell(text: str) -> list[str]:
    """The commands of the blocks of shell, block by block."""
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)

"""`--waves 1,10%,role=db --soak 10m --approve --starts-at 02:00`."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated, Any

import typer

from commctl.exits import WrongUse
from commctl.records import Plan, Record
from commctl.session import Session
from commctl.show.times import API_FORMAT, CLOCK, SPAN, moment, read, seconds

FORMS = "such as +2h, 23:00 or 2026-11-26T02:00"
WavesOption = Annotated[
    str | None,
    typer.Option(
        "--waves", metavar="N|N%|KEY=VALUE,…", help="These come first; the rest is the last wave."
    ),
]
Soak = Annotated[
    str | None,
    typer.Option("--soak", metavar="SPAN", help="Each wave stays well so long before the next."),
]
Approve = Annotated[
    bool, typer.Option("--approve", help="Somebody approves what follows each wave.")
]
ApproveSecond = Annotated[
    bool, typer.Option("--approve-second", help="Somebody else than you approves it.")
]
OverridePolicy = Annotated[
    bool,
    typer.Option("--override-policy", help="The policy of the cluster does not count; say --note."),
]
StartsAt = Annotated[
    str | None,
    typer.Option("--starts-at", metavar="TIME", help="Nothing before: +2h, 23:00, or ISO."),
]


def waves_of(
    text: str | None, soak: str | None, approve: bool, approve_second: bool
) -> list[Record]:
    """The waves that were typed, all with the same soak and approval. Raises WrongUse."""
    rules: dict[str, Any] = {}
    if soak is not None:
        rules["soak_s"] = seconds(soak)
    if approve or approve_second:
        rules["approval"] = "second" if approve_second else True
    if text is None:
        if rules:
            raise WrongUse("--soak and --approve need --waves: which hosts come first.")
        return []
    return [{"hosts": _hosts(word.strip())} | rules for word in text.split(",")]


def _hosts(word: str) -> int | str | Record:
    if "=" in word:
        return {"label": word}
    number = word.removesuffix("%")
    if not (number.isascii() and number.isdecimal()):
        raise WrongUse(f"--waves: {word!r} is no number, percentage or label (KEY=VALUE).")
    return word if word != number else int(word)


def wave_told(wave: Record) -> str:
    """`10% (soaks 600 s, a second person approves)`."""
    hosts, rules = wave["hosts"], []
    if wave.get("soak_s"):
        rules.append(f"soaks {wave['soak_s']:g} s")
    if approval := wave.get("approval"):
        rules.append("a second person approves" if approval == "second" else "somebody approves")
    told = str(hosts["label"] if isinstance(hosts, dict) else hosts)
    return f"{told} ({', '.join(rules)})" if rules else told


def start_of(text: str, now: datetime, zone: tzinfo | None) -> str:
    """A time to come, as the API takes it: `23:00` is the next one. Raises WrongUse."""
    if text.startswith("+") and SPAN.fullmatch(text[1:]):
        then = now + timedelta(seconds=seconds(text[1:]))
        return then.astimezone(UTC).strftime(API_FORMAT)
    found = moment(text, now, zone, FORMS)
    if CLOCK.fullmatch(text.strip()) and read(found) <= now:
        return moment(text, now + timedelta(days=1), zone)
    # Most likely a slip, and it would begin at once.
    if read(found) <= now:
        raise WrongUse(f"--starts-at: {text!r} is over. Without it, it begins at once.")
    return found


def rollout_of(
    use: Session,
    waves: str | None,
    soak: str | None,
    approve: bool,
    approve_second: bool,
    starts_at: str | None,
) -> Record:
    """Waves and a time as they were typed, as the API takes them. Raises WrongUse."""
    found = waves_of(waves, soak, approve, approve_second)
    told: Record = {"waves": found} if found else {}
    if starts_at is not None:
        told["starts_at"] = start_of(starts_at, use.out.now, use.out.zone)
    return told


def told_waves(plan: Plan) -> str:
    """`in 3 waves: 1, 10, then the rest`."""
    waves = plan.get("waves")
    if not waves:
        return ""
    return f"; in {len(waves) + 1} waves: {', '.join(map(str, waves))}, then the rest"

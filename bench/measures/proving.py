"""What the Merkle tree of the log costs, and how quickly it proves something."""

import time
from hashlib import sha256
from pathlib import Path

from bench.figure import Figure, Sample, Scale, side_by_side, under_load
from bench.ground import Ground
from bench.load import sample
from bench.measures.rebuilding import EVENTS
from bench.measures.writing import CLIENTS, prefixes, puts
from bench.processes import Ours
from domain.log import recorder
from domain.log.engines.sqlite import SQLiteEngine
from domain.log.tree.leaf import leaf
from runners.cli.log.verification import Lines, Verification

ROUNDS = 5
VERIFY_FLOOR = 0.3
PUT_FLOOR = 0.95
PROOF_LIMIT_MS = 10.0
PROOFS = 200
ROWS_AT_ONCE = 10_000
WITHOUT_TREE = "bench.anchors.without_tree"


def verify(ground: Ground, scale: Scale) -> list[Figure]:
    """CPU of verifying an export, next to a loop that reads its lines and hashes each."""
    rows = exported(ground.seeded_database(EVENTS), ground.new_directory("rows"))
    count = sum(1 for _ in rows.open("rb"))

    def verified() -> float:
        began = time.process_time()
        found = Verification(Lines([rows]), [], set()).run()
        assert found.events == count
        return count / (time.process_time() - began)

    def hashed() -> float:
        began = time.process_time()
        with rows.open("rb") as file:
            for line in file:
                sha256(line).digest()
        return count / (time.process_time() - began)

    name = "verify of 1,000,000 events (bare: read and sha256)"
    rounds = min(ROUNDS, scale.rounds)
    return [side_by_side(name, verified, hashed, rounds, "events/s", "at least", VERIFY_FLOOR)]


def proof(ground: Ground, scale: Scale) -> list[Figure]:
    """A proof of each of some events, spread over the log, asked for over HTTP."""
    with ground.ours(EVENTS) as ours:
        size = ours.client.get("/log/checkpoint").raise_for_status().json()["size"]
        taken = []
        for number in range(PROOFS):
            path = f"/log/proof?position={1 + number * (size // PROOFS)}"
            began = time.perf_counter()
            ours.client.get(path).raise_for_status()
            taken.append(1000 * (time.perf_counter() - began))
    found = sorted(taken)[PROOFS // 2]
    return [
        Figure(
            "GET /log/proof?position= in a log of 1,000,000, median",
            found,
            0.0,
            0.0,
            "ms",
            "ours at most",
            PROOF_LIMIT_MS,
        )
    ]


def puts_with_tree(ground: Ground, scale: Scale) -> list[Figure]:
    """PUT of many clients, next to the same service without a tree."""
    names = prefixes()
    with ground.ours() as ours, ground.ours(module=WITHOUT_TREE) as bare:

        def put(service: Ours) -> Sample:
            url = f"{service.url}/api/v0/cluster/"
            return sample(service.pid, puts(url, CLIENTS, scale, names, service.headers))

        return under_load(
            f"PUT /cluster/{{name}}, {CLIENTS} clients (bare: without a tree)",
            lambda: put(ours),
            lambda: put(bare),
            scale.rounds,
            "at least",
            PUT_FLOOR,
        )


def exported(database: Path, rows: Path) -> Path:
    """What `log export --rows` writes, without its start."""
    engine, position = SQLiteEngine(database, read_only=True), 0
    with rows.open("wb") as file:
        while True:
            with engine.snapshot() as tx:
                found = recorder.rows(tx, position, ROWS_AT_ONCE)
            if not found:
                break
            file.writelines(leaf(*row) + b"\n" for row in found)
            position = found[-1][0]
    engine.close()
    return rows

"""Fair shares: all shards are somebody's, nobody has two more than another, and few move."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from runners.leases.ownership import SHARDS, shard_of
from runners.leases.shard_balance import rebalance, shares

NAMES = st.sets(st.sampled_from("abcdefghij"), min_size=1, max_size=10)
HOLDERS = st.lists(st.sampled_from(["", *"abcdefghijxyz"]), min_size=1, max_size=64).map(
    lambda names: dict(enumerate(names))
)


@given(NAMES, st.integers(0, 100))
def test_shares_are_all_shards_and_nobody_has_two_more_than_another(
    members: set[str], shards: int
) -> None:
    wanted = shares(members, shards)
    assert wanted.keys() == members
    assert sum(wanted.values()) == shards
    assert max(wanted.values()) - min(wanted.values()) <= 1


def test_where_nobody_is_nobody_has_a_share() -> None:
    assert shares((), 64) == {}
    assert rebalance("a", (), {0: ""}) == ((), ())


@given(NAMES, HOLDERS)
def test_whoever_see_the_same_claim_what_is_free_and_nobody_what_another_does(
    members: set[str], holders: dict[int, str]
) -> None:
    claimed: Counter[int] = Counter()
    for me in members:
        wanted = rebalance(me, members, holders)
        claimed.update(wanted.claim)
        assert all(holders[shard] not in members for shard in wanted.claim)
        assert all(holders[shard] == me for shard in wanted.release)
        assert not (wanted.claim and wanted.release)
    assert set(claimed.values()) <= {1}


@given(NAMES, HOLDERS)
def test_after_two_rounds_all_have_their_shares_and_nothing_moved_in_vain(
    members: set[str], holders: dict[int, str]
) -> None:
    wanted = shares(members, len(holders))
    before = dict(holders)
    for _ in range(2):
        seen = dict(holders)
        for me in members:
            for shard in rebalance(me, members, seen).release:
                holders[shard] = ""
            for shard in rebalance(me, members, seen).claim:
                holders[shard] = me
    assert Counter(holders.values()) == +Counter(wanted)
    had = Counter(before.values())
    stayed = Counter(holder for shard, holder in holders.items() if before[shard] == holder)
    assert all(stayed[name] == min(had[name], wanted[name]) for name in members)
    assert all(rebalance(me, members, holders) == ((), ()) for me in members)


def test_keys_fall_into_shards_evenly_and_for_ever() -> None:
    counts = Counter(shard_of(f"10.0.{n // 250}.{n % 250}") for n in range(5000))
    assert len(counts) == SHARDS
    assert max(counts.values()) < 2 * 5000 / SHARDS
    # Processes of two versions that disagreed on this would both work on a host.
    assert [shard_of(key) for key in ("10.0.0.7", "host.example", "source/rack")] == [38, 32, 36]

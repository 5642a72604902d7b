"""How GPUs are divided among servers: never more than there is, and nothing that is not known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.attribution.shares import Tenure, board_shares, tenures, unplaced
from agent.attribution.sight import Board, Part, Sight
from agent.snapshot import Holder

GIB = 1024**3


def boards(*uuids: str) -> dict[str, Board]:
    """Return boards of 80 GiB."""
    return {each: Board(each, str(at), "H100", 80 * GIB) for at, each in enumerate(uuids)}


def holder(
    device: str, pid: int, gib: int | None = 10, numbers: tuple[int, int] | None = None
) -> Holder:
    """Return a process that holds memory of a GPU."""
    memory = None if gib is None else gib * GIB
    return Holder(device, pid, "python", memory, "", *(numbers or (None, None)))


def sight(*holders: Holder) -> Sight:
    """Return two boards and who holds them."""
    return Sight(boards("g0", "g1"), {}, {}, holders)


def test_tensor_parallelism_has_every_gpu_whole() -> None:
    """One server on two GPUs, a worker on each."""
    found = tenures(sight(holder("g0", 1), holder("g1", 2)), {1: "a", 2: "a"}, {})

    assert found == [
        Tenure("a", "g0", "g0", "exclusive", 1.0),
        Tenure("a", "g1", "g1", "exclusive", 1.0),
    ]


def test_two_servers_on_one_gpu_divide_it_by_their_memory() -> None:
    """30 GiB and 10 GiB of 40 that are held."""
    found = tenures(sight(holder("g0", 1, 30), holder("g0", 2, 10)), {1: "a", 2: "b"}, {})

    assert [(each.server, each.attribution, each.share) for each in found] == [
        ("a", "apportioned", 0.75),
        ("b", "apportioned", 0.25),
    ]


def test_what_strangers_hold_counts_for_nobody() -> None:
    """A notebook beside the server has its part of the GPU, and no server gets it."""
    (found,) = tenures(sight(holder("g0", 1, 30), holder("g0", 9, 10)), {1: "a"}, {})

    assert (found.attribution, found.share) == ("apportioned", 0.75)


def test_unknown_memory_divides_nothing() -> None:
    """Where the driver does not tell what each holds, the GPU is known and the share is not."""
    found = tenures(sight(holder("g0", 1, None), holder("g0", 2, 10)), {1: "a", 2: "b"}, {})

    assert [(each.attribution, each.share) for each in found] == [("none", None), ("none", None)]
    assert board_shares(found) == {}


def test_one_unknown_share_takes_the_others_of_a_server_with_it() -> None:
    """Half of its GPUs would make it look twice as good."""
    found = tenures(
        sight(holder("g0", 1, None), holder("g0", 9, 1), holder("g1", 2)), {1: "a", 2: "a"}, {}
    )

    assert [each.share for each in found] == [None, 1.0]
    assert board_shares(found) == {}


def mig(*holders: Holder, told: float | None = 20 * GIB) -> Sight:
    """Return a board of 80 GiB, divided into one half and two quarters."""
    parts = {
        "MIG-a": Part("MIG-a", "g0", ("1", "0"), 40 * GIB),
        "MIG-b": Part("MIG-b", "g0", ("2", "0"), told),
        "MIG-c": Part("MIG-c", "g0", ("3", "0"), 20 * GIB),
    }
    return Sight(boards("g0"), parts, {}, holders)


def test_a_part_of_a_divided_gpu_is_its_part_of_the_memory() -> None:
    """A server on two instances has both; another shares one of them."""
    found = tenures(
        mig(
            holder("g0", 1, 9, (1, 0)),
            holder("g0", 2, 9, (2, 0)),
            holder("g0", 3, 9, (3, 0)),
            holder("g0", 4, 3, (3, 0)),
        ),
        {1: "a", 2: "a", 3: "a", 4: "b"},
        {},
    )

    assert [(each.server, each.device, each.board, each.share) for each in found] == [
        ("a", "MIG-a", "g0", 0.5),
        ("a", "MIG-b", "g0", 0.25),
        ("a", "MIG-c", "g0", 0.1875),
        ("b", "MIG-c", "g0", 0.0625),
    ]
    assert board_shares(found) == {("a", "g0"): 0.9375, ("b", "g0"): 0.0625}


def test_a_part_whose_memory_is_not_told_has_no_share() -> None:
    """Compute instances share the memory of their GPU instance, which is told for the first alone."""
    found = tenures(mig(holder("g0", 1, 9, (2, 0)), told=None), {1: "a"}, {})

    assert [(each.attribution, each.share) for each in found] == [("exclusive", None)]


def test_a_process_on_an_unknown_part_is_a_problem_and_no_series() -> None:
    """The board would be too much, and any part a guess."""
    seen = mig(holder("g0", 1))

    assert tenures(seen, {1: "a"}, {}) == []
    assert [(each.reason, each.subject) for each in unplaced(seen)] == [("unknown_instance", "g0")]


def test_configured_gpus_are_the_servers_whoever_is_on_them() -> None:
    """It is configured because its processes cannot be told; they are the strangers there."""
    found = tenures(sight(holder("g0", 77)), {}, {"a": {"g0", "g1"}})

    assert [(each.device, each.attribution, each.share) for each in found] == [
        ("g0", "exclusive", 1.0),
        ("g1", "exclusive", 1.0),
    ]


def test_a_gpu_configured_for_two_servers_is_not_divided_by_guess() -> None:
    """Nobody said how much is whose; and none of it counts twice."""
    found = tenures(sight(holder("g0", 77)), {}, {"a": {"g0"}, "b": {"g0"}})

    assert [(each.server, each.attribution, each.share) for each in found] == [
        ("a", "none", None),
        ("b", "none", None),
    ]


def test_a_configured_server_has_no_other_gpus() -> None:
    """Its process on another GPU is a stranger there: the configuration is the answer."""
    found = tenures(sight(holder("g0", 1), holder("g1", 1)), {1: "a"}, {"a": frozenset({"g0"})})

    assert [each.device for each in found] == ["g0"]


@pytest.mark.parametrize(
    ("name", "uuid"), [("1", "g1"), ("g0", "g0"), ("7", None), ("MIG-x", None)]
)
def test_a_gpu_is_named_by_uuid_or_index(name: str, uuid: str | None) -> None:
    """As the configuration has it; a name that no GPU has is none."""
    assert sight().named(name) == uuid


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["g0", "g1"]),
            st.integers(1, 6),
            st.none() | st.integers(0, 80),
            st.sampled_from(["a", "b", "c", None]),
        ),
        max_size=10,
    ),
    st.dictionaries(
        st.sampled_from("abc"), st.frozensets(st.sampled_from(["g0", "g1"]), min_size=1)
    ),
)
def test_shares_of_a_gpu_never_exceed_it(
    story: list[tuple[str, int, int | None, str | None]], configured: dict[str, frozenset[str]]
) -> None:
    """Whoever holds what, and whatever is configured."""
    seen = sight(*(holder(device, pid, gib) for device, pid, gib, _ in story))
    server_of = {pid: server for _, pid, _, server in story if server}

    shares = board_shares(tenures(seen, server_of, configured))

    for board in ("g0", "g1"):
        assert sum(share for (_, each), share in shares.items() if each == board) <= 1 + 1e-9
    assert all(share >= 0 for share in shares.values())

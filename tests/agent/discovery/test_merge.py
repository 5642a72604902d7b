from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.discovery.merge import merge
from agent.discovery.static import Named, static_targets
from agent.discovery.target import HERE, Place, PodIdentity, Target, place_of

POD = PodIdentity("models", "chat-0", "uid", "server")

TARGETS = st.builds(
    Target,
    place=st.builds(Place, st.sampled_from(["10.0.0.5", HERE]), st.sampled_from([80, 8000])),
    urls=st.just(("http://h:1/metrics",)),
    name=st.sampled_from(["a", "b", "c"]),
    source=st.sampled_from(["static", "kubernetes", "sockets"]),
    owner=st.sampled_from(["x", "y"]),
    sure=st.booleans(),
    spare=st.booleans(),
    pod=st.sampled_from([None, POD]),
    pids=st.frozensets(st.integers(1, 4), max_size=2),
)


@settings(deadline=None)
@given(
    st.lists(TARGETS, max_size=8).flatmap(
        lambda each: st.tuples(st.just(each), st.permutations(each))
    )
)
def test_the_order_does_not_matter(both: tuple[Sequence[Target], Sequence[Target]]) -> None:
    """Whoever tells first, the same servers come out, each place once."""
    one, other = map(merge, both)

    assert one.keys() == other.keys() == {target.place for target in both[0]}
    for place in one:
        assert (one[place].name, one[place].source) == (other[place].name, other[place].source)
        assert one[place].pids == other[place].pids


def test_a_configured_server_is_found_once_and_learns_its_pod() -> None:
    """The configuration gives the name, the pod its identity, the socket its processes."""
    (static,) = static_targets([Named("http://10.0.0.5:8000", "chat")], own=lambda _: False)
    found = Target(
        place=static.place, urls=("http://10.0.0.5:8000/metrics",), name="models/chat-0:8000",
        source="kubernetes", owner="uid", pod=POD,
    )  # fmt: skip
    socket = replace(found, source="sockets", name="10.0.0.5:8000", pod=None, pids=frozenset({7}))

    (merged,) = merge([socket, found, static]).values()

    assert (merged.name, merged.source) == ("chat", "static")
    assert merged.pod == POD
    assert merged.pids == {7}


def test_all_addresses_of_this_machine_are_one_place() -> None:
    """localhost, 127.0.0.1, ::1 and any other of our own addresses; names of others are not looked up."""
    urls = ("http://localhost:8000", "http://127.0.0.1:8000/metrics", "http://[::1]:8000")

    assert {place_of(url) for url in urls} == {Place(HERE, 8000)}
    assert place_of("https://Chat.models.svc") == Place("chat.models.svc", 443)
    assert place_of("http://127.0.0.2:8000") == Place("127.0.0.2", 8000)
    assert place_of("http://203.0.113.9:8000") == Place("203.0.113.9", 8000)

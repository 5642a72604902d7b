"""Whose a process on a GPU is, by ancestry and by container."""

from collections.abc import Mapping

from agent.attribution.tenants import Claim, tenants


class Family:
    """Processes as a test has them: parents and groups by pid."""

    def __init__(self, parents: Mapping[int, int], groups: Mapping[int, str] | None = None) -> None:
        self._parents = parents
        self._groups = groups or {}

    def parent(self, pid: int) -> int:
        """Return the parent."""
        return self._parents.get(pid, 0)

    def group(self, pid: int) -> str:
        """Return the group."""
        return self._groups.get(pid, "")


def listening(*pids: int) -> Claim:
    """Return a server whose processes listen."""
    return Claim(frozenset(pids))


def test_workers_belong_to_the_server_that_started_them() -> None:
    """vLLM: the API server listens, its engine starts a worker for each GPU."""
    family = Family({100: 1, 110: 100, 111: 110, 112: 110, 113: 110, 114: 110})

    found = tenants({111, 112, 113, 114}, {"chat": listening(100)}, family)

    assert found.server == dict.fromkeys((111, 112, 113, 114), "chat")
    assert found.problems == ()


def test_a_server_that_holds_the_gpu_itself_is_its_own() -> None:
    """Triton listens and computes in one process; its Python models are children."""
    found = tenants({100, 120}, {"triton": listening(100)}, Family({100: 1, 120: 100}))

    assert found.server == {100: "triton", 120: "triton"}


def test_two_servers_of_one_shell_keep_apart() -> None:
    """What two servers have in common, the shell that started them, makes them no one server."""
    family = Family({50: 1, 100: 50, 101: 100, 200: 50, 201: 200, 300: 50})
    claims = {"a": listening(100), "b": listening(200)}

    assert tenants({101, 201, 300}, claims, family).server == {101: "a", 201: "b"}


def test_the_nearest_ancestor_that_listens_counts() -> None:
    """A router that starts engines which listen themselves does not take their GPUs."""
    family = Family({100: 1, 110: 100, 111: 110, 112: 100})
    claims = {"router": listening(100), "engine": listening(110)}

    assert tenants({111, 112}, claims, family).server == {111: "engine", 112: "router"}


def test_front_end_and_workers_side_by_side_are_joined_by_their_container() -> None:
    """TGI: a launcher starts the router, which listens, and the shards, which compute."""
    family = Family({10: 1, 11: 10, 12: 10}, dict.fromkeys((10, 11, 12), "c" * 64))

    assert tenants({12}, {"tgi": listening(11)}, family).server == {12: "tgi"}


def test_a_container_that_is_known_needs_no_socket() -> None:
    """Kubernetes says which containers a pod has; the process that listens may be out of sight."""
    family = Family({12: 1, 13: 1}, {12: "c" * 64, 13: "d" * 64})
    claims = {"chat": Claim(containers=frozenset({"c" * 64}))}

    assert tenants({12, 13}, claims, family).server == {12: "chat"}


def test_two_servers_in_a_container_are_told_apart_by_ancestry_or_not_at_all() -> None:
    """What could be of either is of neither, and somebody is told what to configure."""
    family = Family({10: 1, 11: 10, 20: 1, 30: 1}, dict.fromkeys((10, 11, 20, 30), "c" * 64))
    claims = {"a": listening(10), "b": listening(20)}

    found = tenants({11, 30}, claims, family)

    assert found.server == {11: "a"}
    assert [(each.reason, each.subject) for each in found.problems] == [
        ("ambiguous_server", "a, b")
    ]


def test_one_process_behind_two_urls_is_ambiguous() -> None:
    """Its GPU must not count for both."""
    claims = {"a": listening(10), "b": listening(10)}

    found = tenants({10}, claims, Family({10: 1}))

    assert found.server == {}
    assert [each.reason for each in found.problems] == ["ambiguous_server"]


def test_nobody_is_guessed() -> None:
    """A process of no server, and a loop of parents that cannot be, end quietly."""
    family = Family({10: 11, 11: 10})

    assert tenants({10, 99}, {"a": listening(5)}, family).server == {}

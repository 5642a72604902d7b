import ipaddress
import os
import socket
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.discovery.proc_net import Listener, listeners

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"


def line(address: str, port: int, inode: int, state: str = "0A") -> str:
    """Write a socket as the kernel does."""
    packed = ipaddress.ip_address(address).packed
    words = (packed[at : at + 4] for at in range(0, len(packed), 4))
    local = "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
    remote = "0" * len(local)
    return (
        f"   0: {local}:{port:04X} {remote}:0000 {state} 00000000:00000000 00:00000000 00000000"
        f"  1000        0 {inode} 1 0000000000000000 100 0 0 10 0"
    )


SOCKETS = st.tuples(
    st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str),
    st.integers(1, 65535),
    st.integers(1, 2**63),
    st.sampled_from(["0A", "01", "06"]),
)


@settings(deadline=None)
@given(st.lists(SOCKETS, max_size=20))
def test_what_the_kernel_writes_is_read(sockets: list[tuple[str, int, int, str]]) -> None:
    """Every listening socket, in its order, and no other; IPv4 in IPv6 is IPv4."""
    table = "\n".join([HEAD, *(line(*each) for each in sockets)])

    found = list(listeners(table))

    expected = []
    for address, port, inode, state in sockets:
        if state == "0A":
            parsed = ipaddress.ip_address(address)
            mapped = getattr(parsed, "ipv4_mapped", None)
            expected.append(Listener(str(mapped or parsed), port, inode))
    assert found == expected


@settings(deadline=None)
@given(st.text(alphabet="0123456789ABCDEF:. \n-zé", max_size=300))
def test_no_text_breaks_it(text: str) -> None:
    """What is no table has no sockets, or plausible ones."""
    for found in listeners(text):
        assert 0 < found.port < 65536
        ipaddress.ip_address(found.address)


@settings(deadline=None)
@given(st.lists(SOCKETS, min_size=1, max_size=4), st.data())
def test_a_table_cut_off_anywhere_has_no_wrong_socket(
    sockets: list[tuple[str, int, int, str]], data: st.DataObject
) -> None:
    """A line that ends early is left out, unless it ends within what is not read."""
    table = "\n".join([HEAD, *(line(*each) for each in sockets)]) + "\n"
    whole = set(listeners(table))
    cut = table[: data.draw(st.integers(0, len(table)))]

    complete = cut[: cut.rfind("\n") + 1]
    assert set(listeners(complete)) <= whole


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_it_reads_this_kernel(family: socket.AddressFamily, host: str) -> None:
    """A socket of our own is found in the real table, by address, port and inode."""
    try:
        listening = socket.create_server((host, 0), family=family)
    except OSError as error:
        pytest.skip(f"no {host} here: {error}")
    with listening:
        port, inode = listening.getsockname()[1], os.fstat(listening.fileno()).st_ino
        name = "tcp6" if family == socket.AF_INET6 else "tcp"
        found = set(listeners(Path(f"/proc/self/net/{name}").read_text()))

    assert Listener(host, port, inode) in found

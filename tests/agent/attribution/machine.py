"""A /proc as a test has it: processes with sockets, in networks and control groups of their own."""

from pathlib import Path

TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     |-- 127.0.0.1
        /32 host LOCAL
     |-- {address}
        /32 host LOCAL
     |-- 10.255.255.255
        /32 link BROADCAST
"""
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


class Machine:
    """Writes processes below ``proc``. The one that looks is in the network ``host``."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"
        self._networks = folder / "networks"
        self._networks.mkdir(parents=True)
        self._sockets: dict[str, list[tuple[str, int, int]]] = {}
        self.add("self", 0)

    def add(
        self,
        pid: int | str,
        parent: int,
        *,
        network: str = "host",
        group: str = "/user.slice/session-1.scope",
        address: str = "10.0.0.1",
        listens: tuple[tuple[str, int], ...] = (),
        words: tuple[str, ...] = ("python",),
    ) -> None:
        """Add a process that listens at these addresses and ports, all of IPv4."""
        home = self.proc / str(pid)
        for name in ("ns", "net", "fd"):
            (home / name).mkdir(parents=True)
        known = self._networks / network
        known.touch()
        (home / "ns/net").symlink_to(known)
        (home / "stat").write_text(f"{pid} (a) b) S {parent} {' '.join('0' * 17)} 12345 0\n")
        (home / "cgroup").write_text(f"0::{group}\n")
        (home / "cmdline").write_bytes("\0".join(words).encode())
        (home / "net/fib_trie").write_text(TRIE.format(address=address))
        (home / "net/tcp").symlink_to(known.with_suffix(".tcp"))
        sockets = self._sockets.setdefault(network, [])
        for at, port in listens:
            inode = 1000 + 10 * len(sockets) + len(self._sockets) * 1000
            sockets.append((at, port, inode))
            (home / "fd" / str(len(sockets) + 3)).symlink_to(f"socket:[{inode}]")
        (home / "fd/0").symlink_to("/dev/null")
        self._write(known.with_suffix(".tcp"), sockets)

    def _write(self, table: Path, sockets: list[tuple[str, int, int]]) -> None:
        lines = []
        for at, port, inode in sockets:
            word = "".join(f"{int(byte):02X}" for byte in reversed(at.split(".")))
            lines.append(
                f"   0: {word}:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000"
                f"     0        0 {inode} 1 0000000000000000 100 0 0 10 0\n"
            )
        table.write_text(HEAD + "".join(lines))

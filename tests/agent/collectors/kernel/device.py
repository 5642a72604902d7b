"""A /dev/kmsg of the tests: real reads from a socket that keeps records apart, as the device does."""

import os
import socket
from pathlib import Path

from agent.collectors.kernel.kmsg import Kmsg


class Device:
    """What one boot's device holds. Each opening sees all of it, as with the real one.

    ``failing`` are errno values that the next reads fail with.
    """

    def __init__(self, directory: Path, boot: str = "boot-1") -> None:
        self.path = directory / "kmsg"
        self.path.touch()
        self.boot_file = directory / "boot_id"
        self.reboot(boot)
        self.failing: list[int] = []
        self._ends: dict[int, tuple[socket.socket, socket.socket]] = {}

    def reboot(self, boot: str) -> None:
        """Begin anew: no records, numbers from 0."""
        self.boot_file.write_text(f"{boot}\n", encoding="ascii")
        self.records: list[bytes] = []
        self.sequence = 0
        self.uptime = 1000.0

    def write(self, message: str, *, ago: float = 0.0, skip: int = 0) -> None:
        """Log a line; ``skip`` records before it were overwritten."""
        self.sequence += skip
        stamp = int((self.uptime - ago) * 1e6)
        self.raw(f"4,{self.sequence},{stamp},-;{message}\n SUBSYSTEM=pci\n".encode())
        self.sequence += 1

    def raw(self, record: bytes) -> None:
        """Log whatever bytes, for those who have it open too."""
        self.records.append(record)
        for writer, _ in self._ends.values():
            writer.send(record)

    def log(self) -> Kmsg:
        """Return a reader of it."""
        return Kmsg(self.path, boot_id=self.boot_file, uptime=lambda: self.uptime, read=self._read)

    def _read(self, descriptor: int, size: int) -> bytes:
        if self.failing:
            number = self.failing.pop()
            raise OSError(number, os.strerror(number))
        if descriptor not in self._ends:
            self.forget()
            writer, reader = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            reader.setblocking(False)
            writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
            self._ends[descriptor] = writer, reader
            for record in self.records:
                writer.send(record)
        return self._ends[descriptor][1].recv(size)

    def forget(self) -> None:
        """Let the next reader begin at the first record, as one that opens the device anew does."""
        for end in (end for pair in self._ends.values() for end in pair):
            end.close()
        self._ends.clear()

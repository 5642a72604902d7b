import shutil
from pathlib import Path

import psutil

from tests.real_parts.programs import eventually
from tests.real_servers import processes
from tests.real_servers.processes import Command

TREE = "sleep 1001 & setsid sleep 1002 & (sleep 1003 & exec sleep 1004) & exec sleep 1005"
"""A program with a child, one in a session of its own, and a grandchild."""


def _sleeping(folder: Path) -> list[psutil.Process]:
    """Return the sleepers that were started in ``folder``."""
    found = []
    for each in psutil.process_iter():
        try:
            if each.name() == "sleep" and each.cwd() == str(folder):
                found.append(each)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_the_whole_family_of_a_server_ends_with_it(tmp_path: Path) -> None:
    """No child outlives its server, whatever session or group it is in."""
    shell = shutil.which("sh")
    assert shell
    command = Command("tree", (shell, "-c", TREE), tmp_path)
    program = processes.start(command, tmp_path / "log", "")
    eventually("five sleep", lambda: len(_sleeping(tmp_path)) == 5)

    processes.end(program)

    eventually("none is left", lambda: not _sleeping(tmp_path))


def test_a_frozen_server_goes_on_when_it_is_thawed(tmp_path: Path) -> None:
    """A frozen family is stopped and not gone."""
    shell = shutil.which("sh")
    assert shell
    command = Command("tree", (shell, "-c", "sleep 1001 & exec sleep 1002"), tmp_path)
    program = processes.start(command, tmp_path / "log", "")
    eventually("two sleep", lambda: len(_sleeping(tmp_path)) == 2)

    processes.freeze(program)
    frozen = {each.status() for each in _sleeping(tmp_path)}
    processes.thaw(program)
    thawed = {each.status() for each in _sleeping(tmp_path)}
    processes.end(program)

    assert frozen == {psutil.STATUS_STOPPED}
    assert thawed == {psutil.STATUS_SLEEPING}

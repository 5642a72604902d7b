"""Starts the processes of a model server and ends all of them, children and grandchildren included.

A model server is a tree: a front end, workers, back ends in groups of their own. One that outlives its
test would hold a port and a core, so each is found by its parent or its session, and ended by its id.
"""

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.real_parts.programs import Program, eventually, plain_environment


@dataclass(frozen=True)
class Command:
    """How to start one process: ``env`` adds to the environment, ``cwd`` is where it runs."""

    name: str
    argv: tuple[str | Path, ...]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)


def start(command: Command, log: Path, url: str) -> Program:
    """Start a process in a session of its own; what it says is added to ``log``."""
    with log.open("ab") as sink:
        process = subprocess.Popen(  # noqa: S603 - a list of words, no shell, from the tests
            [str(word) for word in command.argv],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=command.cwd,
            env={**plain_environment(), **command.env},
            start_new_session=True,
        )
    return Program(command.name, process, log, url)


def family(pid: int) -> list[psutil.Process]:
    """Return the process, all that descends from it, and all in its session."""
    found = {each.pid: each for each in psutil.process_iter() if _session(each.pid) == pid}
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        found |= {each.pid: each for each in (root, *root.children(recursive=True))}
    return list(found.values())


def end(program: Program, *, gently: bool = False, grace: float = 5.0) -> None:
    """End a program and its whole family; ``gently`` asks the first process, and waits ``grace`` seconds."""
    members = family(program.process.pid)
    if gently and program.process.poll() is None:
        program.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            program.process.wait(grace)
    for member in {*members, *family(program.process.pid)}:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    program.process.wait()
    psutil.wait_procs([member for member in members if member.is_running()], timeout=grace)


def freeze(program: Program) -> None:
    """Stop a program and its family where they are: it listens, and answers nothing."""
    _tell(program, signal.SIGSTOP)
    eventually(
        "the family is stopped", lambda: all(map(_stands_still, family(program.process.pid)))
    )


def thaw(program: Program) -> None:
    """Let a frozen program go on."""
    _tell(program, signal.SIGCONT)


def _tell(program: Program, number: signal.Signals) -> None:
    for member in family(program.process.pid):
        with suppress(psutil.NoSuchProcess):
            member.send_signal(number)


def _stands_still(member: psutil.Process) -> bool:
    try:
        return bool(member.status() in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE})
    except psutil.NoSuchProcess:
        return True


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return -1

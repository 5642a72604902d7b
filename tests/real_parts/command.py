"""Runs a program to its end and hands back what it said; the installer's only way to start one."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


class CommandError(RuntimeError):
    """A program is missing, ended with an error, or took too long; the message holds what it said."""


def run(
    *argv: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 600,
) -> str:
    """Run ``argv`` and return its output and errors together; ``env`` adds to the environment."""
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(  # noqa: S603 - a list of words, no shell, from our own tables
            words,
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandError(f"{words[0]}: {error}") from error
    if done.returncode:
        raise CommandError(
            f"{' '.join(words)} ended with {done.returncode}: {done.stdout[-2000:].strip()}"
        )
    return done.stdout

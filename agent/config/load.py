"""Reads the configuration: defaults < file < WARPWATCH_* environment < flags.

Everything that is wrong is listed at once, with the path of the key, where it came from and what was
probably meant, before anything starts.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from agent.config.contradictions import contradictions
from agent.config.fields import section_of
from agent.config.profile_rules import wrong, wrong_names
from agent.config.settings import PROFILES, Config

PREFIX: Final = "WARPWATCH_"
FILE_VARIABLE: Final = "WARPWATCH_CONFIG"
"""Names the file where --config does not."""
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_SERVICE_LINK: Final = re.compile(r"WARPWATCH(_\w+)?_(SERVICE_(HOST|PORT)|PORT)(_\w+)?")
"""Kubernetes puts these into every pod that has a Service named warpwatch... in its namespace."""


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing that is wrong: the key's path, what is wrong with it, and where it was said."""

    path: str
    message: str
    source: str

    def __str__(self) -> str:
        """As one line for a terminal."""
        return f"{self.path or '(whole file)'}: {self.message} [{self.source}]"


class ConfigError(Exception):
    """The configuration cannot be used; ``problems`` lists all that is wrong with it."""

    def __init__(self, problems: tuple[ConfigProblem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class _Reader:
    """Turns raw values into records and gathers what is wrong on the way."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources
        self.problems: list[ConfigProblem] = []

    def section(self, kind: type, raw: object, path: str) -> Any:
        """Return a ``kind`` made of ``raw``, or None where that cannot be done."""
        if not isinstance(raw, Mapping):
            self.refuse(path, f"must be a mapping of keys to values, not {raw!r}")
            return None
        known = {each.name: each for each in fields(kind)}
        before = len(self.problems)
        for key in raw:
            if key not in known:
                self.refuse(_join(path, str(key)), _unknown(str(key), known))
        values = {}
        for name, each in known.items():
            if raw.get(name) is not None:
                values[name] = self._value(each, raw[name], _join(path, name))
            elif each.default is MISSING:
                self.refuse(_join(path, name), f"is required, such as {each.metadata['example']}")
        if len(self.problems) > before:
            return None
        made = kind(**values)
        for key, message in wrong(made):
            self.refuse(_join(path, key), message)
        return made if len(self.problems) == before else None

    def _value(self, each: Field[Any], raw: object, path: str) -> Any:
        kind = section_of(each)
        if kind is None:
            try:
                return each.metadata["form"].parse(raw)
            except ValueError as error:
                self.refuse(path, str(error))
                return None
        if not each.metadata.get("many"):
            return self.section(kind, raw, path)
        if not isinstance(raw, list):
            self.refuse(path, f"must be a list, each entry beginning with a dash, not {raw!r}")
            return None
        return tuple(self.section(kind, item, f"{path}[{i}]") for i, item in enumerate(raw))

    def refuse(self, path: str, message: str) -> None:
        """Note that the value at ``path`` is wrong."""
        parts = path
        while parts and parts not in self._sources:
            parts = re.sub(r"(\.[^.\[\]]+|\[\d+\]|^[^.\[\]]+)$", "", parts)
        self.problems.append(ConfigProblem(path, message, self._sources.get(parts, "defaults")))


def load(path: Path | None, environment: Mapping[str, str], flags: Mapping[str, object]) -> Config:
    """Return the configuration from all sources.

    Without ``path``, WARPWATCH_CONFIG names the file, if any. ``flags`` are by key; one that is None
    was not given. Raises `ConfigError` with all problems.
    """
    sources: dict[str, str] = {}
    raw: dict[str, Any] = {}
    problems: list[ConfigProblem] = []
    if path is None and environment.get(FILE_VARIABLE):
        path = Path(environment[FILE_VARIABLE])
    if path is not None:
        try:
            raw = _read_file(path)
        except ConfigError as error:
            problems += error.problems
        sources[""] = str(path)
    problems += _merge_environment(raw, environment, sources)
    for key, value in flags.items():
        if value is not None:
            raw[key] = value
            sources[key] = f"--{key.replace('_', '-')}"
    reader = _Reader(sources)
    config: Config | None = reader.section(Config, raw, "")
    for key, message in wrong_names(raw, PROFILES):
        reader.refuse(key, message)
    problems += reader.problems
    if config is not None:
        problems += _duplicate_names(config, sources)
        problems += _circles(config, sources)
        problems += _contradictions(config, sources)
    if problems or config is None:
        raise ConfigError(tuple(problems))
    return config


def _duplicate_names(config: Config, sources: Mapping[str, str]) -> list[ConfigProblem]:
    """Two servers of one name would write the same series."""
    seen: dict[str, int] = {}
    problems = []
    for position, server in enumerate(config.servers):
        name = server.name or server.url.partition("://")[2].partition("/")[0]
        if name in seen:
            message = f"servers[{seen[name]}] has the name {name!r} as well; give each its own name"
            source = sources.get("servers", sources.get("", "defaults"))
            problems.append(ConfigProblem(f"servers[{position}]", message, source))
        seen.setdefault(name, position)
    return problems


def _contradictions(config: Config, sources: Mapping[str, str]) -> Iterator[ConfigProblem]:
    for path, message in contradictions(config):
        source = sources.get(re.split(r"[.\[]", path)[0], sources.get("", "defaults"))
        yield ConfigProblem(path, message, sources.get(path, source))


def _circles(config: Config, sources: Mapping[str, str]) -> list[ConfigProblem]:
    """Find sources that are the agent itself: it would take its own last values for fresh ones."""
    read = [("dcgm.url", config.dcgm.url)] if config.dcgm else []
    read += [(f"servers[{n}].url", each.url) for n, each in enumerate(config.servers)]
    here = {config.listen.host}
    if here & {*_LOOPBACK, "0.0.0.0", "::"}:  # noqa: S104 - to know it, not to listen there
        here |= _LOOPBACK
    message = f"is where the agent itself listens ({config.listen}); name what it should read"
    return [
        ConfigProblem(
            path, message, sources.get(path.partition(".")[0], sources.get("", "defaults"))
        )
        for path, url in read
        if (parts := urlsplit(url)).port == config.listen.port and parts.hostname in here
    ]


def _read_file(path: Path) -> dict[str, Any]:
    from agent.config.yaml_text import parse  # noqa: PLC0415 - only a file needs it

    def refuse(message: str) -> ConfigError:
        return ConfigError((ConfigProblem("", message, str(path)),))

    try:
        raw = parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise refuse(
            f"cannot be read: {error.strerror}; name an existing file with --config"
        ) from error
    except UnicodeDecodeError as error:
        raise refuse(f"is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except ValueError as error:
        raise refuse(str(error)) from error
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise refuse(f"must be a mapping of keys to values, not {type(raw).__name__}")
    return raw


def _merge_environment(
    raw: dict[str, Any], environment: Mapping[str, str], sources: dict[str, str]
) -> list[ConfigProblem]:
    """Put the values of WARPWATCH_* variables into ``raw``; return what is wrong with their names."""
    problems = []
    found: list[tuple[list[str | int], str]] = []
    for name in sorted(environment):
        if not name.startswith(PREFIX) or name == FILE_VARIABLE or _SERVICE_LINK.fullmatch(name):
            continue
        target = _find_key(Config, name.removeprefix(PREFIX).lower().split("_"))
        if target is None:
            message = _unknown(name, {PREFIX + key: None for key in environment_names()})
            problems.append(ConfigProblem(name, message, "environment"))
        else:
            found.append((target, name))
    # Whole lists before their entries, entry 0 before entry 1.
    for target, name in sorted(found, key=lambda each: [str(part).zfill(9) for part in each[0]]):
        source = f"environment {name}"
        try:
            sources[_put(raw, target, environment[name])] = source
        except ValueError as error:
            problems.append(ConfigProblem(_path(target), str(error), source))
    return problems


def _path(target: list[str | int]) -> str:
    """Return a key's path as messages write it: otlp, 0, endpoint -> otlp[0].endpoint."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in target)
    return "".join(parts).removeprefix(".")


def environment_names() -> list[str]:
    """Return the names of all variables, without the prefix; entries of lists as number 0."""
    names = []
    for each in fields(Config):
        names.append(each.name.upper())
        if kind := each.metadata.get("section"):
            middle = f"{each.name.upper()}_0" if each.metadata.get("many") else each.name.upper()
            names += (f"{middle}_{inner.name.upper()}" for inner in fields(kind))
    return names


def _find_key(kind: type, words: list[str], *, top: bool = True) -> list[str | int] | None:
    """Return the path that ``words`` name: otlp 0 headers file -> otlp, 0, headers_file.

    Keys of a section within a section have no variable of their own: the whole section is given as YAML.
    """
    for each in fields(kind):
        own = each.name.split("_")
        if words[: len(own)] != own:
            continue
        rest, section = words[len(own) :], each.metadata.get("section")
        if not rest:
            return [each.name]
        if section is None or not top:
            continue
        index: list[str | int] = []
        if each.metadata.get("many"):
            numbered = rest[0].isascii() and rest[0].isdigit()
            index = [int(rest[0]) if numbered else 0]
            rest = rest[1:] if numbered else rest
        inner = _find_key(section, rest, top=False) if rest else None
        if inner is not None:
            return [each.name, *index, *inner]
    return None


def _put(raw: dict[str, Any], target: list[str | int], value: str) -> str:
    """Store ``value`` at ``target`` in ``raw``; return its path. A wrong shape is left to the reader."""
    top = next(each for each in fields(Config) if each.name == target[0])
    match target:
        case [str(key)]:
            raw[key] = _given(top, value)
        case [str(key), str(inner)]:
            section = raw.setdefault(key, {})
            if isinstance(section, dict):
                section[inner] = _given(_within(top, inner), value)
        case [str(key), int(index), str(inner)]:
            entries = raw.setdefault(key, [])
            if isinstance(entries, list):
                _put_entry(entries, index, inner, _given(_within(top, inner), value))
    return _path(target)


def _within(section: Field[Any], name: str) -> Field[Any]:
    return next(each for each in fields(section.metadata["section"]) if each.name == name)


def _given(each: Field[Any], value: str) -> object:
    """Return what a variable gives: text, or for what is a list or a mapping in the file, its YAML."""
    structured = section_of(each) is not None or each.metadata["form"].structured
    return _structure(value) if structured else value


def _structure(value: str) -> object:
    from agent.config.yaml_text import parse  # noqa: PLC0415 - few variables hold a structure

    return parse(value)


def _put_entry(entries: list[Any], index: int, key: str, value: object) -> None:
    if index > len(entries):
        raise ValueError(f"entry {index} without entry {index - 1}; number entries from 0")
    if index == len(entries):
        entries.append({})
    if isinstance(entries[index], dict):
        entries[index][key] = value


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path and key else path or key


def _unknown(key: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if near:
        return f"is not known; did you mean {near[0]}?"
    return f"is not known; known are {', '.join(known)}"

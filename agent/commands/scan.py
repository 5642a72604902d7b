"""`warpwatch scan`: what a model server exposes, what of it is understood, and a profile to paste."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from agent.collectors.scrape import OPEN, Access, ScrapeError
from agent.collectors.serving.detection import profile_named
from agent.collectors.serving.profile import Profile
from agent.collectors.serving.scan.report import Report, scan
from agent.collectors.serving.scan.source import Found, of_file, of_server, read_file
from agent.collectors.serving.scan.written import draft_yaml, profile_yaml
from agent.commands.asking import access_by_flags
from agent.commands.configuration import WRONG_CONFIGURATION, configured, refuse
from agent.config import Config
from agent.custom_profiles import known_profiles

_RECOGNISED: Final = 0
_NO_METRICS: Final = 1
_UNKNOWN_SERVER: Final = 3
_STDIN: Final = "-"
_DRAFT: Final = "my-server"


def show(options: argparse.Namespace) -> int:
    """Look at a server or a saved page.

    Exit codes: 0 a known server, 1 no page or no metrics, 2 wrong usage or configuration, 3 metrics of a
    server that no profile knows, or of which the named one knows nothing.
    """
    config = configured(options)
    if config is None:
        return WRONG_CONFIGURATION
    profiles = known_profiles(config.profiles)
    try:
        asked = _asked(options, config)
        named = profile_named(asked.profile, profiles) if asked.profile else None
        found = _page(asked, profiles if named is None else (named,), options.timeout)
        report = scan(
            found.text,
            profiles,
            named=named,
            server=found.shown,
            faults=found.faults,
            budget=config.server_series,
        )
    except ValueError as error:
        return refuse(error)
    except ScrapeError as error:
        return refuse(error.detail, _NO_METRICS)
    _print(options, report, found.shown, _profile(report, profiles, found))
    known = report.mapped or any(each.family for each in report.recognised)
    return _RECOGNISED if known else _UNKNOWN_SERVER


class _Asked(NamedTuple):
    """What is to be looked at, by which profile, and how to get in."""

    source: str
    profile: str
    access: Access


def _asked(options: argparse.Namespace, config: Config) -> _Asked:
    """Return what is asked for; a configured server, by its name or URL, brings what is set for it.

    Raises ValueError where options contradict each other.
    """
    source, access = options.source, access_by_flags(options)
    server = next((each for each in config.servers if source in (each.name, each.url)), None)
    if server is None:
        return _Asked(source, options.profile, access)
    from agent.model_servers import access_of  # noqa: PLC0415 - loads the search for servers as well

    access = access if access != OPEN else access_of(server)
    return _Asked(server.url, options.profile or server.profile or "", access)


def _page(asked: _Asked, profiles: Sequence[Profile], seconds: float) -> Found:
    """Return the page. Raises `ScrapeError`, and ValueError for a URL that cannot be used."""
    if asked.source == _STDIN:
        return of_file(sys.stdin.buffer.read(), "standard input")
    if "://" not in asked.source:
        return of_file(read_file(Path(asked.source)), asked.source)
    return asyncio.run(of_server(asked.source, profiles, access=asked.access, seconds=seconds))


def _print(options: argparse.Namespace, report: Report, shown: str, written: str) -> None:
    if options.yaml:
        print(written, end="")
    elif options.json:
        from agent.commands.scan_json import plain  # noqa: PLC0415 - one of three ways to show it

        print(json.dumps({"source": shown, **plain(report), "profile": written}, indent=2))
    else:
        from agent.commands.scan_tables import print_report  # noqa: PLC0415

        print_report(report, shown, written)


def _profile(report: Report, profiles: Sequence[Profile], found: Found) -> str:
    """Return the profiles that the page is of, as they stand in the configuration, or a draft of one."""
    names = [each.profile.name for each in report.recognised]
    if not names:
        paths = (found.path,) if found.path not in ("", "/metrics") else ()
        return draft_yaml(_DRAFT, report.families, report.guesses, paths)
    whole = [profile_named(name, profiles) for name in names]
    return profile_yaml(*whole, found=report.guesses)

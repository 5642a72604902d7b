"""`warpwatch doctor`: what is found on this machine, and what to do where something is missing."""

import argparse
import asyncio
import json
import os
from dataclasses import asdict

from agent.commands.configuration import WRONG_CONFIGURATION, configured, refuse
from agent.commands.diagnosis import Finding, Verdict, diagnose, machine_findings
from agent.commands.recording import record
from agent.config import Config


def run(options: argparse.Namespace) -> int:
    """Check and report. Exit codes: 0 nothing failed (a missing GPU is no failure), 1 something did."""
    config = configured(options)
    if config is None:
        return WRONG_CONFIGURATION
    if options.record:
        return record(
            config, options.record, seconds=options.record_seconds, raw=options.record_raw
        )
    try:
        findings = asyncio.run(_examine(config))
    except ValueError as error:
        return refuse(error)
    if options.json:
        plain = [asdict(each) | {"verdict": each.verdict.value} for each in findings]
        print(json.dumps(plain, indent=2))
    else:
        _print(findings)
    return int(any(each.verdict is Verdict.FAILED for each in findings))


async def _examine(config: Config) -> list[Finding]:
    kernel = [] if config.simulate or config.replay else list(machine_findings())
    return [*kernel, *[finding async for finding in diagnose(config, os.environ)]]


def _print(findings: list[Finding]) -> None:
    from rich.console import Console  # noqa: PLC0415 - the agent never loads it
    from rich.text import Text  # noqa: PLC0415

    styles = {
        Verdict.OK: ("green", "ok     "),
        Verdict.ABSENT: ("dim", "absent "),
        Verdict.WARNING: ("yellow", "warning"),
        Verdict.FAILED: ("bold red", "failed "),
    }
    console = Console(soft_wrap=True, highlight=False)
    for each in findings:
        style, word = styles[each.verdict]
        console.print(Text.assemble((word, style), f"  {each.subject}: {each.found}"))
        if each.action:
            console.print(Text(f"         -> {each.action}", style="cyan"))

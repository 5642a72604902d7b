"""The command line. Each command is loaded when it is asked for, so that none pays for another."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

import agent
from agent.cli_arguments import Commands, add_access, add_source
from agent.cli_drift import add_drift

_DESCRIPTION: Final = (
    "The node agent for GPU fleets: is this GPU well, who uses it, is the model on it still fast?"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration."""
    options = _parser().parse_args(arguments)
    command = import_module(f"agent.commands.{options.module}")
    try:
        code: int = getattr(command, options.function)(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `warpwatch metrics | head`
        sys.stderr.close()
        return 0
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="warpwatch", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"warpwatch {agent.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_run(commands)
    _add_demo(commands)
    _add_status(commands)
    _add_doctor(commands)
    _add_config(commands)
    _add_metrics(commands)
    _add_scan(commands)
    add_drift(commands)
    version = commands.add_parser("version", help="print the version")
    version.set_defaults(module="version", function="show")
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    parser.add_argument(
        "--listen", metavar="HOST:PORT", help="where to serve; default 127.0.0.1:9410"
    )
    parser.add_argument(
        "--simulate",
        metavar="SPEC",
        help="simulated GPUs instead of real ones, such as 8xH100 or 2xH100/3g.40gb+4x1g.10gb",
    )
    parser.add_argument(
        "--replay", metavar="FILE", help="a recording instead of real GPUs; see doctor --record"
    )
    parser.add_argument(
        "--replay-end", metavar="loop|stop", help="what happens at its end; default: loop"
    )
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default="info"
    )


def _add_run(commands: "Commands[argparse.ArgumentParser]") -> None:
    run = commands.add_parser("run", help="run the agent")
    _add_settings(run)
    run.set_defaults(module="run", function="run")


def _add_demo(commands: "Commands[argparse.ArgumentParser]") -> None:
    demo = commands.add_parser(
        "demo",
        help="run the agent on a simulated node with model servers",
        description="Runs the agent on simulated GPUs and simulated model servers. Within three "
        "minutes: a leak that ends out of memory, a throttle, XIDs, a GPU that falls off the bus.",
    )
    _add_settings(demo)
    demo.set_defaults(module="demo", function="run", simulate="8xH100")


def _add_status(commands: "Commands[argparse.ArgumentParser]") -> None:
    status = commands.add_parser("status", help="show what a running agent sees")
    add_source(status)
    status.add_argument(
        "--url", help="the agent's URL; default: where the configuration says it listens"
    )
    status.add_argument("--json", action="store_true", help="print JSON instead of a table")
    add_access(status)
    status.set_defaults(module="status", function="show")


def _add_doctor(commands: "Commands[argparse.ArgumentParser]") -> None:
    doctor = commands.add_parser("doctor", help="check this machine: what is found, and what to do")
    _add_settings(doctor)
    doctor.add_argument("--json", action="store_true", help="print JSON instead of a table")
    doctor.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="write down what the GPUs' driver answers, to be played with run --replay; "
        "a name that ends in .gz is compressed",
    )
    doctor.add_argument(
        "--record-seconds", type=float, default=60.0, metavar="N", help="how long; default 60"
    )
    doctor.add_argument(
        "--record-raw",
        action="store_true",
        help="keep UUIDs, serial numbers and ids of containers, which are replaced otherwise",
    )
    doctor.set_defaults(module="doctor", function="run")


def _add_config(commands: "Commands[argparse.ArgumentParser]") -> None:
    config = commands.add_parser("config", help="check or document the configuration")
    parts = config.add_subparsers(metavar="PART", required=True)
    check = parts.add_parser("check", help="list all that is wrong with the configuration")
    _add_settings(check)
    check.set_defaults(module="config", function="check")
    default = parts.add_parser("default", help="print a commented configuration file")
    default.set_defaults(module="config", function="default")
    schema = parts.add_parser("schema", help="print the JSON schema of the configuration file")
    schema.set_defaults(module="config", function="schema")


def _add_metrics(commands: "Commands[argparse.ArgumentParser]") -> None:
    metrics = commands.add_parser("metrics", help="list every metric, its unit and its labels")
    metrics.add_argument("filter", nargs="?", default="", help="only names that contain this")
    metrics.add_argument("--json", action="store_true", help="print JSON instead of a table")
    metrics.set_defaults(module="metrics", function="show")


def _add_scan(commands: "Commands[argparse.ArgumentParser]") -> None:
    scan = commands.add_parser(
        "scan",
        help="show what a model server exposes and what of it is understood",
        description="Looks at a server's metrics, or at a page that was saved: which server it is, which "
        "families become which metrics, what is wrong, and a profile to paste into the configuration. "
        "Exit codes: 0 a known server, 1 no page or no metrics, 2 wrong usage, 3 an unknown server.",
    )
    scan.add_argument(
        "source",
        metavar="URL",
        help="the server's URL; without a path, those of all known servers are tried. The name or URL of a "
        "configured server brings its profile and access. A file, or - for standard input, is a saved page",
    )
    add_source(scan)
    scan.add_argument("--profile", default="", metavar="NAME", help="read it by this profile")
    shown = scan.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="print JSON instead of tables")
    shown.add_argument("--yaml", action="store_true", help="print the profile alone")
    scan.add_argument(
        "--timeout", type=float, default=10.0, metavar="SECONDS", help="for each path; default 10"
    )
    add_access(scan)
    scan.set_defaults(module="scan", function="show")


if __name__ == "__main__":
    sys.exit(main())

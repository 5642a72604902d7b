"""The command line. Each command is loaded when it is asked for, so that none pays for another."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

import agent

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
    _add_drift(commands)
    version = commands.add_parser("version", help="print the version")
    version.set_defaults(module="version", function="show")
    return parser


_Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file (YAML)")


def _add_settings(parser: argparse.ArgumentParser) -> None:
    _add_source(parser)
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


def _add_run(commands: "_Commands[argparse.ArgumentParser]") -> None:
    run = commands.add_parser("run", help="run the agent")
    _add_settings(run)
    run.set_defaults(module="run", function="run")


def _add_demo(commands: "_Commands[argparse.ArgumentParser]") -> None:
    demo = commands.add_parser(
        "demo",
        help="run the agent on a simulated node with model servers",
        description="Runs the agent on simulated GPUs and simulated model servers. Within three "
        "minutes: a leak that ends out of memory, a throttle, XIDs, a GPU that falls off the bus.",
    )
    _add_settings(demo)
    demo.set_defaults(module="demo", function="run", simulate="8xH100")


def _add_status(commands: "_Commands[argparse.ArgumentParser]") -> None:
    status = commands.add_parser("status", help="show what a running agent sees")
    _add_source(status)
    status.add_argument(
        "--url", help="the agent's URL; default: where the configuration says it listens"
    )
    status.add_argument("--json", action="store_true", help="print JSON instead of a table")
    _add_access(status)
    status.set_defaults(module="status", function="show")


def _add_doctor(commands: "_Commands[argparse.ArgumentParser]") -> None:
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


def _add_config(commands: "_Commands[argparse.ArgumentParser]") -> None:
    config = commands.add_parser("config", help="check or document the configuration")
    parts = config.add_subparsers(metavar="PART", required=True)
    check = parts.add_parser("check", help="list all that is wrong with the configuration")
    _add_settings(check)
    check.set_defaults(module="config", function="check")
    default = parts.add_parser("default", help="print a commented configuration file")
    default.set_defaults(module="config", function="default")
    schema = parts.add_parser("schema", help="print the JSON schema of the configuration file")
    schema.set_defaults(module="config", function="schema")


def _add_metrics(commands: "_Commands[argparse.ArgumentParser]") -> None:
    metrics = commands.add_parser("metrics", help="list every metric, its unit and its labels")
    metrics.add_argument("filter", nargs="?", default="", help="only names that contain this")
    metrics.add_argument("--json", action="store_true", help="print JSON instead of a table")
    metrics.set_defaults(module="metrics", function="show")


def _add_scan(commands: "_Commands[argparse.ArgumentParser]") -> None:
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
    _add_source(scan)
    scan.add_argument("--profile", default="", metavar="NAME", help="read it by this profile")
    shown = scan.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="print JSON instead of tables")
    shown.add_argument("--yaml", action="store_true", help="print the profile alone")
    scan.add_argument(
        "--timeout", type=float, default=10.0, metavar="SECONDS", help="for each path; default 10"
    )
    _add_access(scan)
    scan.set_defaults(module="scan", function="show")


def _add_access(parser: argparse.ArgumentParser) -> None:
    access = parser.add_argument_group(
        "access", "What whoever is asked wants to see; secrets are in files."
    )
    access.add_argument("--bearer-token-file", default="", metavar="FILE", help="holds the token")
    access.add_argument("--username", default="", metavar="NAME", help="for basic authentication")
    access.add_argument("--password-file", default="", metavar="FILE", help="holds the password")
    access.add_argument("--ca-file", default="", metavar="FILE", help="authorities to trust (PEM)")
    access.add_argument("--cert-file", default="", metavar="FILE", help="our certificate (PEM)")
    access.add_argument("--key-file", default="", metavar="FILE", help="its key (PEM)")
    access.add_argument(
        "--server-name", default="", metavar="NAME", help="what the certificate must be of"
    )
    access.add_argument(
        "--insecure-skip-verify", action="store_true", help="do not check the certificate"
    )


def _add_drift(commands: "_Commands[argparse.ArgumentParser]") -> None:
    drift = commands.add_parser("drift", help="tell when a model's traffic is not what it was")
    parts = drift.add_subparsers(metavar="PART", required=True)
    run = parts.add_parser("run", help="take payloads and count them, as a process of its own")
    _add_source(run)
    run.add_argument(
        "--listen", metavar="HOST:PORT", help="where to take payloads; default 127.0.0.1:9411"
    )
    run.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    run.set_defaults(module="drift", function="run")
    _add_calibrate(parts)
    _add_reference(parts)
    _add_report(parts)


def _add_calibrate(parts: "_Commands[argparse.ArgumentParser]") -> None:
    calibrate = parts.add_parser(
        "calibrate",
        help="learn from history what is normal, and how often it would alert",
        description="Reads the recorded drift scores of the last weeks from Prometheus, writes a bound "
        "for each, and predicts the alerts a month that it gives.",
    )
    _add_source(calibrate)
    calibrate.add_argument("--prometheus", required=True, metavar="URL", help="where scores are")
    calibrate.add_argument(
        "--bearer-token-file", type=Path, metavar="FILE", help="a token that Prometheus asks for"
    )
    calibrate.add_argument(
        "--days", type=float, default=28.0, metavar="N", help="of history to read; default 28"
    )
    calibrate.add_argument(
        "--least-days",
        type=float,
        default=14.0,
        metavar="N",
        help="of measured time below which a feature gets no bound; default 14, two week-ends",
    )
    calibrate.add_argument(
        "--leave-out",
        action="append",
        default=[],
        metavar="FROM/TO",
        help="a time that was not normal, as 2026-11-02/2026-11-05 (UTC); may be given again",
    )
    calibrate.add_argument("--model", default="", help="of this model only")
    calibrate.add_argument(
        "--output", type=Path, metavar="FILE", help="default: thresholds.json in `state_dir`"
    )
    calibrate.add_argument(
        "--evidence", type=Path, metavar="FILE", help="write a page that shows history and bounds"
    )
    calibrate.add_argument("--json", action="store_true", help="print JSON instead of a table")
    calibrate.set_defaults(module="drift_calibrate", function="calibrate")


def _add_report(parts: "_Commands[argparse.ArgumentParser]") -> None:
    report = parts.add_parser(
        "report",
        help="write Evidently's report of a model, as HTML and JSON",
        description="Compares rows, or rows rebuilt from the counts that a process exports, with a "
        "reference. Needs `pip install 'warpwatch[report]'`; runs in a process of its own, within limits.",
    )
    _add_source(report)
    current = report.add_mutually_exclusive_group(required=True)
    current.add_argument(
        "--current", type=Path, metavar="FILE", help="rows: .ndjson, .jsonl, .csv or .parquet"
    )
    current.add_argument(
        "--metrics", metavar="URL|FILE", help="the metrics page of a drift process, or a saved one"
    )
    current.add_argument("--prometheus", metavar="URL", help="the counts of all replicas")
    current.add_argument(
        "--reservoir",
        metavar="URL",
        help="the rows that a drift process keeps of --model, if it does",
    )
    report.add_argument(
        "--reference",
        type=Path,
        metavar="FILE",
        help="rows, or a reference's .json; default: the one in use, or the one that is exported",
    )
    report.add_argument("--window", default="1d", help="how far back in Prometheus; default 1d")
    report.add_argument(
        "--bearer-token-file", type=Path, metavar="FILE", help="for the one that is asked"
    )
    report.add_argument("--model", default="", help="which, where there are several")
    report.add_argument("--model-version", default="", metavar="VERSION", help="as --model")
    report.add_argument("--reference-id", default="", metavar="ID", help="as --model")
    report.add_argument(
        "--output", type=Path, default=Path(), metavar="FOLDER", help="default: this folder"
    )
    report.add_argument(
        "--threshold",
        type=float,
        help="PSI of drift; default: as calibrated for a day, 0.25 where it was not",
    )
    for name, default, unit in (
        ("--memory", 1_536, "MiB of address space"),
        ("--cpu", 60, "seconds of processor time"),
        ("--wall", 120, "seconds on the clock"),
        ("--rows", 5_000, "rows a side; of more, a sample"),
        ("--columns", 50, "columns; of more, those that differ most"),
    ):
        report.add_argument(
            name, type=int, default=default, metavar="N", help=f"{unit}; default {default}"
        )
    report.set_defaults(module="drift_report", function="report")


def _add_reference(parts: "_Commands[argparse.ArgumentParser]") -> None:
    reference = parts.add_parser("reference", help="what models are compared with")
    actions = reference.add_subparsers(metavar="ACTION", required=True)
    listed = _add_action(actions, "list", "list every reference that is kept, and which is in use")
    listed.add_argument("--json", action="store_true", help="print JSON instead of a table")
    show = _add_action(actions, "show", "show one reference, bin by bin", of_model=True)
    show.add_argument(
        "--reference", default="", metavar="ID", help="its first digits; default: the one in use"
    )
    show.add_argument("--json", action="store_true", help="print it as its file has it")
    diff = _add_action(actions, "diff", "show how two references differ", of_model=True)
    diff.add_argument("old", help="the id of one; its first digits are enough")
    diff.add_argument(
        "--new", default="", metavar="ID", help="of the other; default: the one in use"
    )
    use = _add_action(actions, "use", "keep a reference from a file and put it in use")
    use.add_argument(
        "file",
        type=Path,
        help="a file that `show --json` made; - reads from stdin; models:/NAME/VERSION or "
        "models:/NAME@ALIAS reads an artifact of it from MLflow (MLFLOW_TRACKING_URI)",
    )
    use.add_argument(
        "--artifact",
        default="",
        metavar="PATH",
        help="where it lies in the model's folder in MLflow; default drift-reference.json",
    )
    learn = _add_action(
        actions, "learn", "make a reference of a file, or of Prometheus's history", of_model=True
    )
    learn.add_argument(
        "--rows",
        nargs="+",
        type=Path,
        default=(),
        metavar="FILE",
        help="files with rows: .ndjson, .csv, .parquet, .arrow",
    )
    learn.add_argument(
        "--prometheus",
        metavar="URL",
        help="instead of files: fill the bins of the reference in use with other days' traffic",
    )
    learn.add_argument("--bearer-token-file", type=Path, metavar="FILE", help="for Prometheus")
    learn.add_argument(
        "--days", type=float, default=14.0, metavar="N", help="of history; default 14"
    )
    learn.add_argument(
        "--ago", type=float, default=0.0, metavar="N", help="days since its end; default 0"
    )
    learn.add_argument(
        "--output", type=Path, metavar="FILE", help="write it there instead of putting it in use"
    )
    freeze = _add_action(actions, "freeze", "end learning now", of_model=True)
    freeze.add_argument("--url", help="of the process; default: where it is configured to listen")
    _add_access(freeze)
    rollback = _add_action(
        actions, "rollback", "go back to the reference before this one", of_model=True
    )
    rollback.add_argument(
        "--to", default="", metavar="ID", help="instead: to this one; its first digits are enough"
    )


def _add_action(
    actions: "_Commands[argparse.ArgumentParser]", name: str, says: str, *, of_model: bool = False
) -> argparse.ArgumentParser:
    aliases = ("roll-back",) if name == "rollback" else ()
    action = actions.add_parser(name, help=says, aliases=aliases)
    _add_source(action)
    if of_model:
        action.add_argument("model", help="the model's name")
        action.add_argument("--model-version", default="", metavar="VERSION", help="default: none")
    module = "drift_learn" if name == "learn" else "drift_reference"
    action.set_defaults(module=module, function=f"{name}_reference")
    return action


if __name__ == "__main__":
    sys.exit(main())

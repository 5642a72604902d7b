"""The commands about drift and their arguments."""

import argparse
from pathlib import Path

from agent.cli_arguments import Commands, add_access, add_source


def add_drift(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add the commands about drift."""
    drift = commands.add_parser("drift", help="tell when a model's traffic is not what it was")
    parts = drift.add_subparsers(metavar="PART", required=True)
    run = parts.add_parser("run", help="take payloads and count them, as a process of its own")
    add_source(run)
    run.add_argument(
        "--listen", metavar="HOST:PORT", help="where to take payloads; default 127.0.0.1:9411"
    )
    run.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    run.set_defaults(module="drift", function="run")
    _add_calibrate(parts)
    _add_reference(parts)
    _add_report(parts)


def _add_calibrate(parts: "Commands[argparse.ArgumentParser]") -> None:
    calibrate = parts.add_parser(
        "calibrate",
        help="learn from history what is normal, and how often it would alert",
        description="Reads the recorded drift scores of the last weeks from Prometheus, writes a bound "
        "for each, and predicts the alerts a month that it gives.",
    )
    add_source(calibrate)
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


def _add_report(parts: "Commands[argparse.ArgumentParser]") -> None:
    report = parts.add_parser(
        "report",
        help="write Evidently's report of a model, as HTML and JSON",
        description="Compares rows, or rows rebuilt from the counts that a process exports, with a "
        "reference. Needs `pip install 'warpwatch[report]'`; runs in a process of its own, within limits.",
    )
    add_source(report)
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


def _add_reference(parts: "Commands[argparse.ArgumentParser]") -> None:
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
    add_access(freeze)
    rollback = _add_action(
        actions, "rollback", "go back to the reference before this one", of_model=True
    )
    rollback.add_argument(
        "--to", default="", metavar="ID", help="instead: to this one; its first digits are enough"
    )


def _add_action(
    actions: "Commands[argparse.ArgumentParser]", name: str, says: str, *, of_model: bool = False
) -> argparse.ArgumentParser:
    aliases = ("roll-back",) if name == "rollback" else ()
    action = actions.add_parser(name, help=says, aliases=aliases)
    add_source(action)
    if of_model:
        action.add_argument("model", help="the model's name")
        action.add_argument("--model-version", default="", metavar="VERSION", help="default: none")
    module = "drift_learn" if name == "learn" else "drift_reference"
    action.set_defaults(module=module, function=f"{name}_reference")
    return action

"""Arguments that commands of several kinds take."""

import argparse
from pathlib import Path

Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def add_source(parser: argparse.ArgumentParser) -> None:
    """Let the configuration file be named."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file (YAML)")


def add_access(parser: argparse.ArgumentParser) -> None:
    """Let whoever is asked be shown what it wants to see."""
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

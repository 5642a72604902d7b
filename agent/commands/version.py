"""`warpwatch version`: what is running, for a bug report."""

import argparse
import platform
from importlib.metadata import PackageNotFoundError, version

import agent


def show(options: argparse.Namespace) -> int:
    """Print the versions of the agent, of Python and of the NVML binding."""
    del options
    print(f"warpwatch {agent.__version__}")
    print(f"python {platform.python_version()} ({platform.machine()})")
    for name in ("nvidia-ml-py", "prometheus-client", "aiohttp", "opentelemetry-sdk"):
        try:
            print(f"{name} {version(name)}")
        except PackageNotFoundError:
            print(f"{name} is not installed")
    return 0

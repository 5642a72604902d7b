"""A reference that is an artifact of a model version in MLflow: it comes and is versioned with the model.

``models:/NAME/VERSION`` and ``models:/NAME@ALIAS`` are MLflow's own names. Its tracking server hands out the
artifact whatever store lies behind it, so none of that store's keys are needed here, and neither is MLflow.
"""

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Final

import aiohttp

from agent.drift.reference import InvalidReferenceError

SCHEME: Final = "models:/"
ARTIFACT: Final = "drift-reference.json"
"""Where in the model's folder the reference lies, by default."""
TRACKING_URI: Final = "MLFLOW_TRACKING_URI"
TRACKING_TOKEN: Final = "MLFLOW_TRACKING_TOKEN"  # noqa: S105 - the name of a variable
TRACKING_USERNAME: Final = "MLFLOW_TRACKING_USERNAME"
TRACKING_PASSWORD: Final = "MLFLOW_TRACKING_PASSWORD"  # noqa: S105 - as above
_TIMEOUT: Final = aiohttp.ClientTimeout(30)
_MOST_BYTES: Final = 64 * 2**20
_ALIAS: Final = "/api/2.0/mlflow/registered-models/alias"
_FILE: Final = "/model-versions/get-artifact"


async def fetch(uri: str, artifact: str, environment: Mapping[str, str]) -> str:
    """Return the text of a model version's artifact.

    ``environment`` has MLflow's own variables: where the server is, and a token or a login if it wants
    one. Raises `InvalidReferenceError` with what is wrong.
    """
    server = environment.get(TRACKING_URI, "").rstrip("/")
    if not server.startswith(("http://", "https://")):
        raise InvalidReferenceError(
            f"{TRACKING_URI} must be the http address of the tracking server, to read {uri}"
        )
    token = environment.get(TRACKING_TOKEN, "")
    user = environment.get(TRACKING_USERNAME, "")
    headers = {}
    if token:
        headers = {"Authorization": f"Bearer {token}"}
    elif user:
        login = f"{user}:{environment.get(TRACKING_PASSWORD, '')}".encode()
        headers = {"Authorization": f"Basic {b64encode(login).decode()}"}
    try:
        async with aiohttp.ClientSession(timeout=_TIMEOUT, headers=headers) as session:
            name, version = await _version(session, server, uri)
            wanted = {"path": artifact, "name": name, "version": version}
            return (await _get(session, server + _FILE, wanted)).decode()
    except (aiohttp.ClientError, TimeoutError, ValueError, RecursionError) as error:
        if isinstance(error, InvalidReferenceError):
            raise
        said = str(error) or "no answer"
        raise InvalidReferenceError(f"{uri}, {artifact}: {server}: {said}") from error


async def _version(session: aiohttp.ClientSession, server: str, uri: str) -> tuple[str, str]:
    """Return the model's name and the number of its version."""
    told = uri.removeprefix(SCHEME)
    if "@" in told:
        name, _, alias = told.rpartition("@")
        answer = json.loads(await _get(session, server + _ALIAS, {"name": name, "alias": alias}))
        found = answer.get("model_version") if isinstance(answer, dict) else None
        if not isinstance(found, dict) or "version" not in found:
            raise ValueError("no answer of an MLflow tracking server")
        return name, str(found["version"])
    name, _, version = told.rpartition("/")
    if not name or not version.isdecimal():
        raise InvalidReferenceError(
            f"{uri} is neither {SCHEME}NAME/VERSION with a number nor {SCHEME}NAME@ALIAS"
        )
    return name, version


async def _get(session: aiohttp.ClientSession, url: str, query: Mapping[str, str]) -> bytes:
    """Return the body of an answer within bounds. Raises `ValueError` with what the server said."""
    async with session.get(url, params=query) as answer:
        body = await answer.content.read(_MOST_BYTES + 1)
        while len(body) <= _MOST_BYTES and (more := await answer.content.read(_MOST_BYTES)):
            body += more
        if len(body) > _MOST_BYTES:
            raise ValueError(f"longer than {_MOST_BYTES >> 20} MiB, which is no reference")
        if answer.status != 200:
            raise ValueError(f"HTTP {answer.status}: {body[:200].decode(errors='replace').strip()}")
        return body

"""A pod, as far as discovery looks at it: parsed once, so that nothing else trusts the API's JSON."""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

_ENDED: Final = frozenset({"Succeeded", "Failed"})
_GPU: Final = "nvidia.com/"
"""How the names of NVIDIA's resources begin: gpu, gpu.shared, mig-1g.10gb."""
_RUNTIME: Final = re.compile(r"[a-z0-9-]+://(.+)")


class Port(NamedTuple):
    """A TCP port that a container declares."""

    number: int
    name: str


class Container(NamedTuple):
    """A container that runs beside others: sidecars are such, init containers that end are not.

    ``words`` are its command and arguments; they stay inside. ``env`` holds literal values alone.
    """

    name: str
    image: str
    words: tuple[str, ...]
    ports: tuple[Port, ...]
    env: Mapping[str, str]
    has_gpu: bool


class Pod(NamedTuple):
    """One pod. ``over``: it ended or is being deleted. ``address`` is empty until it has one."""

    namespace: str
    name: str
    uid: str
    address: str
    over: bool
    ready: bool
    restarts: int
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    containers: tuple[Container, ...]
    container_ids: Mapping[str, str]


def pod_of(raw: object) -> Pod:
    """Return the pod of a Pod object. Raises ValueError where it is none."""
    try:
        return _pod(_mapping(raw))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a Pod object: {type(error).__name__} {error}"[:200]) from None


def _pod(raw: Mapping[str, Any]) -> Pod:
    meta, spec, status = (_mapping(raw.get(key) or {}) for key in ("metadata", "spec", "status"))
    states = [
        _mapping(each)
        for key in ("containerStatuses", "initContainerStatuses")
        for each in status.get(key) or ()
    ]
    conditions = [_mapping(each) for each in status.get("conditions") or ()]
    return Pod(
        namespace=str(meta["namespace"]),
        name=str(meta["name"]),
        uid=str(meta.get("uid") or f"{meta['namespace']}/{meta['name']}"),
        address=str(ipaddress.ip_address(str(status["podIP"]))) if status.get("podIP") else "",
        over=bool(meta.get("deletionTimestamp")) or status.get("phase") in _ENDED,
        ready=any(
            each.get("type") == "Ready" and each.get("status") == "True" for each in conditions
        ),
        restarts=sum(_number(each.get("restartCount")) or 0 for each in states),
        labels=_texts(meta.get("labels")),
        annotations=_texts(meta.get("annotations")),
        containers=tuple(_containers(spec)),
        container_ids=dict(filter(None, map(_container_id, states))),
    )


def _containers(spec: Mapping[str, Any]) -> Iterator[Container]:
    for each in spec.get("containers") or ():
        yield _container(_mapping(each))
    for each in spec.get("initContainers") or ():
        if _mapping(each).get("restartPolicy") == "Always":  # a sidecar, since Kubernetes 1.28
            yield _container(_mapping(each))


def _container(raw: Mapping[str, Any]) -> Container:
    resources = _mapping(raw.get("resources") or {})
    asked = [*_mapping(resources.get("limits") or {}), *_mapping(resources.get("requests") or {})]
    variables = [_mapping(each) for each in raw.get("env") or ()]
    return Container(
        name=str(raw.get("name") or ""),
        image=str(raw.get("image") or ""),
        words=tuple(map(str, (*(raw.get("command") or ()), *(raw.get("args") or ())))),
        ports=tuple(_ports(raw.get("ports") or ())),
        env={str(each["name"]): str(each["value"]) for each in variables if each.get("value")},
        has_gpu=any(str(name).startswith(_GPU) for name in asked),
    )


def _ports(raw: object) -> Iterator[Port]:
    for each in map(_mapping, raw if isinstance(raw, list) else ()):
        number = _number(each.get("containerPort"))
        if number and number < 65536 and each.get("protocol", "TCP") == "TCP":
            yield Port(number, str(each.get("name") or ""))


def _container_id(state: Mapping[str, Any]) -> tuple[str, str] | None:
    found = _RUNTIME.fullmatch(str(state.get("containerID") or ""))
    return (str(state.get("name") or ""), found[1]) if found else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _texts(raw: object) -> Mapping[str, str]:
    return {str(key): str(value) for key, value in _mapping(raw or {}).items()}


def _mapping(raw: object) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise TypeError(f"{type(raw).__name__} where an object belongs")
    return raw

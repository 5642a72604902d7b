"""Tells from a pod where a model server might be in it.

From the surest sign to the weakest: annotations that name the port, a known chart's or operator's label, the
image or the command of a known server, a container that was given a GPU. What is really there, the page
tells.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from agent.collectors.scrape import OPEN, Access
from agent.discovery.kubernetes.known import (
    AGGREGATED_PORT,
    KINDS,
    KNOWN_PORTS,
    LABELS,
    METRICS_PATHS,
    METRICS_PORT_NAMES,
    NO_HTTP,
    PORT_OPTION,
    PORT_VARIABLES,
    QUEUE_PROXY,
    QUEUE_PROXY_PORT,
    Kind,
)
from agent.discovery.kubernetes.pods import Container, Pod
from agent.discovery.target import PodIdentity, Target, authority, place_of

SOURCE: Final = "kubernetes"
MOST_OF_A_POD: Final = 16
"""Places looked at in one pod."""
_TRUE: Final = "true"


class _Guess(NamedTuple):
    port: int
    container: str = ""
    sure: bool = False
    spare: bool = False
    scheme: str = "http"
    path: str = ""


def targets_of(pod: Pod, access: Access = OPEN) -> tuple[Target, ...]:
    """Return where to look in a pod; nowhere in one that is over, or has no address yet."""
    if pod.over or not pod.address:
        return ()
    best: dict[int, _Guess] = {}
    for guess in sorted(_guesses(pod), key=lambda each: (each.spare, not each.sure)):
        known = best.setdefault(guess.port, guess)
        if not known.container and guess.container:
            best[guess.port] = known._replace(container=guess.container)
    return tuple(_target(pod, guess, access) for guess in list(best.values())[:MOST_OF_A_POD])


def complaints(pod: Pod) -> Iterator[str]:
    """Give what is wrong with a pod's annotations, for people."""
    for key in _PORT_ANNOTATIONS:
        value = pod.annotations.get(key, "")
        if value and _port(value) is None:
            yield f"annotation {key} is {value[:40]!r}, which is no port from 1 to 65535"


_PORT_ANNOTATIONS: Final = ("prometheus.io/port", "prometheus.kserve.io/port")


def _guesses(pod: Pod) -> Iterator[_Guess]:
    if pod.annotations.get("serving.kserve.io/enable-metric-aggregation") == _TRUE:
        # It gives all that the containers give: asking them as well would count everything twice.
        yield _Guess(AGGREGATED_PORT, QUEUE_PROXY, sure=True)
        return
    yield from _annotated(pod)
    labelled = _is_labelled(pod)
    for container in pod.containers:
        yield from _of_container(container, labelled)


def _annotated(pod: Pod) -> Iterator[_Guess]:
    notes = pod.annotations
    known = _is_known(pod)
    if port := _port(notes.get("prometheus.kserve.io/port", "")):
        path = notes.get("prometheus.kserve.io/path", "")
        yield _Guess(port, _owner(pod, port), sure=True, path=path)
    if notes.get("prometheus.io/scrape", "").lower() != _TRUE:
        return
    scheme = "https" if notes.get("prometheus.io/scheme", "").lower() == "https" else "http"
    named = _port(notes.get("prometheus.io/port", ""))
    declared = [port.number for each in pod.containers for port in each.ports]
    for port in [named] if named else declared:
        path = notes.get("prometheus.io/path", "")
        yield _Guess(port, _owner(pod, port), sure=known, scheme=scheme, path=path)


def _is_known(pod: Pod) -> bool:
    return _is_labelled(pod) or any(_kind_of(each) for each in pod.containers)


def _is_labelled(pod: Pod) -> bool:
    return any(
        key in pod.labels and (not value or pod.labels[key] == value) for key, value in LABELS
    )


def _of_container(container: Container, labelled: bool) -> Iterator[_Guess]:
    if container.name == QUEUE_PROXY:
        yield _Guess(QUEUE_PROXY_PORT, container.name, sure=labelled)
        return
    kind = _kind_of(container)
    sure = kind is not None
    for port in container.ports:
        if port.number in KNOWN_PORTS or not NO_HTTP.search(port.name):
            telling = port.name in METRICS_PORT_NAMES or port.number in KNOWN_PORTS
            if sure or labelled or container.has_gpu:
                yield _Guess(port.number, container.name, sure=sure or (labelled and telling))
    if not (sure or labelled):
        return
    for number in _spoken(container):
        yield _Guess(number, container.name, sure=sure)
    for number in kind.ports if kind else ():
        yield _Guess(number, container.name, sure=True, spare=True)


def _kind_of(container: Container) -> Kind | None:
    line = " ".join(container.words)
    by_command = (kind for kind in KINDS if kind.command.search(line))
    by_image = (kind for kind in KINDS if kind.image.search(container.image.lower()))
    return next(by_command, None) or next(by_image, None)


def _spoken(container: Container) -> Iterator[int]:
    """Give the ports that the command line and the environment name."""
    for found in PORT_OPTION.finditer(" ".join(container.words)):
        if port := _port(found[1]):
            yield port
    for name in PORT_VARIABLES & container.env.keys():
        if port := _port(container.env[name]):
            yield port


def _owner(pod: Pod, number: int) -> str:
    """Return the name of the container that declares a port; of a single container in any case."""
    for container in pod.containers:
        if any(port.number == number for port in container.ports):
            return container.name
    return pod.containers[0].name if len(pod.containers) == 1 else ""


def _port(text: str) -> int | None:
    text = text.strip()
    if text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) < 65536:
        return int(text)
    return None


def _target(pod: Pod, guess: _Guess, access: Access) -> Target:
    where = authority(pod.address, guess.port)
    own = "/" + guess.path.lstrip("/") if guess.path else ""
    paths = dict.fromkeys((own, *METRICS_PATHS) if own else METRICS_PATHS)
    url = f"{guess.scheme}://{where}"
    return Target(
        place=place_of(url),
        urls=tuple(url + path for path in paths),
        name=f"{pod.namespace}/{pod.name}:{guess.port}",
        source=SOURCE,
        owner=pod.uid,
        epoch=f"{pod.ready}/{pod.restarts}",
        sure=guess.sure,
        spare=guess.spare,
        access=access,
        pod=_identity(pod, guess.container),
    )


def identity(pod: Pod, container_id: str) -> PodIdentity:
    """Return who the container of that id is."""
    names = [name for name, found in pod.container_ids.items() if found == container_id]
    return _identity(pod, names[0] if names else "")


def _identity(pod: Pod, container: str) -> PodIdentity:
    ids = [found for name, found in pod.container_ids.items() if container in ("", name)]
    return PodIdentity(pod.namespace, pod.name, pod.uid, container, tuple(sorted(ids)))

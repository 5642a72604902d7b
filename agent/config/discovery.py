"""How model servers are found by themselves: the keys under ``discovery``."""

from dataclasses import dataclass
from typing import Final

from agent.config.fields import option, section
from agent.config.probe import FoundProbe
from agent.config.values import SWITCH, TEXT, URL, Form, switch, text, whole_form

AUTO: Final = "auto"
MOST_SERVERS: Final = 256
"""Each has a connection, a parser and some hundred series."""


def switch_or_auto(value: object) -> str:
    """Take ``true``, ``false`` or ``auto``; return the word."""
    if value == AUTO:
        return AUTO
    try:
        return "true" if switch(value) else "false"
    except ValueError:
        raise ValueError(f"must be true, false or auto, not {value!r}") from None


def names(value: object) -> tuple[str, ...]:
    """Take a list of names, such as ``[chat, embeddings]``."""
    if not isinstance(value, list) or not value:
        raise ValueError(f"must be a list of names such as [models], not {value!r}")
    return tuple(text(each) for each in value)


_AUTO_FORM: Final = Form(switch_or_auto, {"enum": [True, False, AUTO]})
_NAMES_FORM: Final = Form(
    names,
    {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
    structured=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """Where servers are looked for, beside those that `servers` names. What one is, its page tells."""

    kubernetes: str = option(
        _AUTO_FORM,
        "Among the pods of this node, by the API server. auto: where a service account's token is "
        "mounted. The agent's role needs list and watch of pods.",
        example="auto",
        default=AUTO,
    )
    sockets: bool = option(
        SWITCH,
        "Among the TCP ports on which processes that hold a GPU listen: each is asked for metrics, ever "
        "more rarely where it gives none. Needs the host's processes (hostPID) and, for those of other "
        "users, root with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH.",
        example="false",
        default=False,
    )
    namespaces: tuple[str, ...] = option(
        _NAMES_FORM,
        "Pods of these namespaces only. Default: all.",
        example="[models]",
        default=(),
    )
    selector: str | None = option(
        TEXT, "Pods with these labels only, as kubectl -l takes it.", example="app=vllm"
    )
    limit: int = option(
        whole_form(1, MOST_SERVERS),
        "Most servers that are collected from by discovery; what is beyond is a counted problem.",
        example="64",
        default=64,
    )
    probe: FoundProbe | None = section(
        FoundProbe,
        "Ask those that are found for an answer now and then, as a user would; of one that never gave one "
        "nothing is told. Default: never.",
    )
    api_server: str | None = option(
        URL,
        "The API server. Default: as Kubernetes tells its pods.",
        example="https://10.0.0.1:6443",
    )
    bearer_token_file: str | None = option(
        TEXT,
        "Token sent to the pods that are found. Needs `namespaces`: it must not reach pods of others.",
        example="/etc/warpwatch/secrets/models/token",
    )
    ca_file: str | None = option(
        TEXT,
        "Authority that signed the certificates of the pods that are found.",
        example="/etc/warpwatch/secrets/models/ca.crt",
    )
    insecure_skip_verify: bool = option(
        SWITCH,
        "Take any certificate of the pods that are found.",
        example="false",
        default=False,
    )

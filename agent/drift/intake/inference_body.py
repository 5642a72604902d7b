"""What a request to a model and its answer say, by feature: KServe V1, V2 (Open Inference), OpenAI, Seldon.

The names of features are those that the payload has; a row that is a bare list has numbers for names. A
list too long to be a row of features stays one value, a vector. Texts stay texts only until they are
counted, by their length.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from math import prod
from typing import Any, Final

from agent.drift.intake import seldon_body
from agent.drift.intake.flatten import check_size, columns
from agent.drift.intake.json_body import parse
from agent.drift.intake.names import bounded
from agent.drift.intake.refusal import RefusedError
from agent.drift.intake.tensor_bytes import TensorBytes, binary_size, document
from agent.drift.rows import PREDICTION

Columns = dict[str, list[object]]
WIDEST: Final = 50
"""Numbers in a row that are features of their own; a longer list is a vector, such as an embedding."""
_EVENT_STREAM_CHUNKS: Final = 100_000
_MOST_VALUES: Final = 2**24
"""Of a tensor: more than any body can hold."""


def request_columns(body: bytes, head: int | None = None) -> Columns:
    """Return the features of a request to a model. Raises `RefusedError` where it has none that we know.

    ``head`` is how much of the body is JSON, where binary tensors stand behind it and that was told.
    """
    content, behind = document(body, head)
    if isinstance(content, Mapping):
        if isinstance(content.get("inputs"), list) and _is_tensors(content["inputs"]):
            return _tensors(content["inputs"], "", behind)
        for key in ("instances", "inputs"):
            if isinstance(content.get(key), list):
                return instances(content[key], "input")
            if isinstance(content.get(key), Mapping):  # V1's column format
                return _by_column(content[key])
        if "messages" in content or "prompt" in content:
            return _generation(content)
        if seldon_body.is_seldon(content):
            return instances(seldon_body.instances(content), "input")
    raise RefusedError(
        400,
        "malformed",
        "the request has neither instances, nor inputs, nor messages, nor a prompt, nor data",
    )


def response_columns(body: bytes, head: int | None = None) -> tuple[Columns, str]:
    """Return what a model answered, and the version that it says it has. Raises `RefusedError`.

    ``head``: as of `request_columns`.
    """
    if body.lstrip()[:5] in {b"data:", b"event"}:
        return _of_stream(body), ""
    content, behind = document(body, head)
    if isinstance(content, Mapping):
        version = content.get("model_version")
        told = str(version) if isinstance(version, str | int) and version != "" else ""
        if isinstance(content.get("outputs"), list) and _is_tensors(content["outputs"]):
            return _answers(content["outputs"], behind), told
        if isinstance(content.get("outputs"), Mapping):  # V1's column format
            answers = {f"{PREDICTION}.{name}": each for name, each in content["outputs"].items()}
            return _by_column(answers), told
        for key in ("predictions", "outputs"):
            if content.get(key) is not None:  # models of one's own answer a single row as it is
                rows = content[key] if isinstance(content[key], list) else [content[key]]
                return instances(rows, PREDICTION), told
        if isinstance(content.get("choices"), list):
            return _generated(content), ""
        if seldon_body.is_seldon(content):
            return _single_prediction(seldon_body.instances(content)), ""
    raise RefusedError(
        400,
        "malformed",
        "the response has neither predictions, nor outputs, nor choices, nor data",
    )


def instances(instances: Sequence[object], name: str) -> Columns:
    """Return rows as V1 has them: objects, lists or single values, one a row; ``name`` is what has none."""
    return columns([_row(each, name) for each in instances])


def _single_prediction(rows: Sequence[object]) -> Columns:
    """Return answers as columns; a row of a single value, named or not, is the prediction itself."""
    alone = [
        next(iter(row.values() if isinstance(row, Mapping) else row))
        if isinstance(row, Mapping | list) and len(row) == 1
        else row
        for row in rows
    ]
    return instances(alone, PREDICTION)


def _row(instance: object, name: str) -> Mapping[str, object]:
    if isinstance(instance, Mapping):
        return instance if name != PREDICTION else {name: instance}
    if isinstance(instance, list) and _is_row(instance):
        return {f"{name}.{place}": value for place, value in enumerate(instance)}
    return {name: instance}


def _is_row(values: Sequence[object]) -> bool:
    return len(values) <= WIDEST and not any(isinstance(value, list | dict) for value in values)


def _by_column(inputs: Mapping[str, Any]) -> Columns:
    lists = {name: value if isinstance(value, list) else [value] for name, value in inputs.items()}
    longest = max(map(len, lists.values()), default=0)
    check_size(longest, len(lists))
    return {bounded(name): value + [None] * (longest - len(value)) for name, value in lists.items()}


def _is_tensors(tensors: Sequence[object]) -> bool:
    return bool(tensors) and all(
        isinstance(each, Mapping) and "name" in each and "shape" in each for each in tensors
    )


def _answers(outputs: Sequence[Mapping[str, Any]], behind: bytes) -> Columns:
    """Return V2's outputs; a single one is the prediction."""
    if len(outputs) == 1:
        return _tensors([{**outputs[0], "name": PREDICTION}], "", behind)
    return _tensors(outputs, f"{PREDICTION}.", behind)


def _tensors(tensors: Sequence[Mapping[str, Any]], prefix: str, behind: bytes) -> Columns:
    """Return V2's tensors; the first dimension is the batch. All must have the same one."""
    found: Columns = {}
    rows: int | None = None
    rest = TensorBytes(behind)
    for tensor in tensors:
        shape, data = tensor["shape"], tensor.get("data")
        size = binary_size(tensor)
        if data is None and size is not None:
            data = rest.take(tensor.get("datatype"), size)
        if not isinstance(data, list):
            raise RefusedError(
                415, "wrong_type", "a tensor's data must be in the body, not beside it"
            )
        told = tensor_columns(bounded(f"{prefix}{tensor['name']}"), shape, data)
        count = shape[0] if shape else 1
        if rows is not None and count != rows:
            raise RefusedError(400, "malformed", "tensors of one body must have as many rows")
        rows = count
        if found.keys() & told.keys():
            raise RefusedError(400, "malformed", "two tensors of one body have the same name")
        found |= told
    return found


def tensor_columns(name: str, shape: object, data: Sequence[object]) -> Columns:
    """Return a tensor as columns; its data may be nested as its shape says, or flat.

    Raises `RefusedError` where the shape is none, or the data does not fit it.
    """
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise RefusedError(400, "malformed", "the shape of a tensor must be a list of sizes")
    count, width = (shape[0] if shape else 1), prod(shape[1:])
    values = list(islice(_flat(data), min(count * width, _MOST_VALUES) + 1))
    if len(values) != count * width:
        raise RefusedError(400, "malformed", "a tensor's data does not have the size of its shape")
    if width == 1:
        return {name: values}
    if width <= WIDEST:
        return {f"{name}.{place}": values[place::width] for place in range(width)}
    return {name: [values[row * width : (row + 1) * width] for row in range(count)]}


def _flat(data: Sequence[object]) -> Any:
    """Yield the leaves of nested lists, in order, without recursion."""
    waiting = [iter(data)]
    while waiting:
        for each in waiting[-1]:
            if isinstance(each, list):
                waiting.append(iter(each))
                break
            yield each
        else:
            waiting.pop()


def _generation(content: Mapping[str, Any]) -> Columns:
    """Return what a prompt is like: how long, how many messages, and the parameters asked for."""
    messages = content.get("messages")
    told: dict[str, object] = {}
    if isinstance(messages, list):
        told["messages"] = len(messages)
        told["prompt_characters"] = sum(map(_characters, messages))
    else:
        told["prompt_characters"] = _characters({"content": content.get("prompt")})
    for key in ("max_tokens", "max_completion_tokens", "temperature", "top_p", "n"):
        if isinstance(content.get(key), int | float):
            told[key] = content[key]
    return {name: [value] for name, value in told.items()}


def _characters(message: object) -> int:
    """Return how many characters a message has, those of its parts together."""
    said = message.get("content") if isinstance(message, Mapping) else None
    if isinstance(said, str):
        return len(said)
    if isinstance(said, list):
        texts = (part.get("text") if isinstance(part, Mapping) else part for part in said)
        return sum(len(text) for text in texts if isinstance(text, str))
    return 0


def _generated(content: Mapping[str, Any]) -> Columns:
    """Return what an answer is like: why it ended, and its tokens by the server's own count."""
    usage = content.get("usage")
    told: dict[str, object] = {}
    if isinstance(usage, Mapping):
        for key in ("prompt_tokens", "completion_tokens"):
            if isinstance(usage.get(key), int):
                told[key] = usage[key]
    reasons = [
        choice.get("finish_reason") for choice in content["choices"] if isinstance(choice, Mapping)
    ]
    said = [reason for reason in reasons if isinstance(reason, str)]
    if said:
        told["finish_reason"] = said[0]
    return {name: [value] for name, value in told.items()}


def _of_stream(body: bytes) -> Columns:
    """Return what a streamed answer comes to: the last usage and the last reason that it told."""
    choices: list[object] = []
    usage: object = None
    for line in islice(body.splitlines(), _EVENT_STREAM_CHUNKS):
        text = line.removeprefix(b"data:").strip()
        if text == line.strip() or not text.startswith(b"{"):
            continue
        chunk = parse(text)
        if isinstance(chunk, Mapping):
            usage = chunk.get("usage") or usage
            told = chunk.get("choices")
            choices += [
                each
                for each in (told if isinstance(told, list) else [])
                if isinstance(each, Mapping) and each.get("finish_reason")
            ]
    return _generated({"choices": choices[-1:], "usage": usage})

"""Columns of Parquet and Arrow files as features: their types are richer than those of payloads.

Decimals are numbers, structures are their leaves by path, lists of numbers are vectors. Times, bytes and maps
are no features, and are named as such instead of being lost without a word.
"""

from collections.abc import Callable, Iterator
from typing import Any

from agent.drift.intake.flatten import MAX_DEPTH
from agent.drift.intake.names import bounded


def columns(batch: Any, left_out: Callable[[str], None]) -> dict[str, list[object]]:
    """Return the columns of a record batch. ``left_out`` is told each that is none, with its type.

    Raises ValueError where two columns have one name.
    """
    found: dict[str, list[object]] = {}
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        for path, leaf in _leaves(name, array, 1):
            if path in found:
                raise ValueError(f"two columns have the name {path!r}; rename one of them")
            values = _values(leaf)
            if values is None:
                left_out(f"{path} ({leaf.type})")
            else:
                found[path] = values
    return found


def _leaves(name: str, array: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield an array, or those that a structure is made of, by path."""
    import pyarrow as pa  # noqa: PLC0415 - 100 MB, for these files alone

    if not pa.types.is_struct(array.type) or depth >= MAX_DEPTH:
        yield bounded(name), array
        return
    names = [array.type.field(place).name for place in range(array.type.num_fields)]
    for inner, leaf in zip(names, array.flatten(), strict=True):
        yield from _leaves(f"{name}.{inner}", leaf, depth + 1)


def _values(array: Any) -> list[object] | None:
    """Return an array as values that can be counted, `None` where they are of no such type."""
    import pyarrow as pa  # noqa: PLC0415 - as above
    import pyarrow.compute  # noqa: PLC0415 - as above

    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _values(array.storage)
    if pa.types.is_dictionary(kind):
        return _values(array.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        return _values(pa.compute.run_end_decode(array))
    if pa.types.is_decimal(kind):
        array = array.cast(pa.float64(), safe=False)
    elif pa.types.is_float16(kind):
        array = array.cast(pa.float32())
    elif not _is_plain(kind) and not _is_vector(kind):
        return None
    return list(array.to_pylist())


def _is_plain(kind: Any) -> bool:
    from pyarrow import types  # noqa: PLC0415 - as above

    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
        or str(kind) == "string_view"  # of which older versions do not know
        or types.is_null(kind)
    )


def _is_vector(kind: Any) -> bool:
    from pyarrow import types  # noqa: PLC0415 - as above

    listed = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(listed and (types.is_integer(kind.value_type) or _is_real(kind.value_type)))


def _is_real(kind: Any) -> bool:
    from pyarrow import types  # noqa: PLC0415 - as above

    return bool(types.is_floating(kind) and not types.is_float16(kind))

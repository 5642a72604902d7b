"""What the library's parser makes of a text, in the terms of ours: the oracle of these tests."""

from collections import defaultdict

from prometheus_client.parser import text_string_to_metric_families

from agent.collectors.exposition import Page, Parser

Spoken = dict[str, list[tuple[dict[str, str], str]]]
"""By sample name: labels and value. Values as text, so that NaN equals NaN."""


def oracle(text: str) -> tuple[Spoken, dict[str, set[str]]]:
    """Return the samples of a text, and the types that the library gives each sample name.

    The library adds ``_total`` to the samples of counters that lack it; that is undone here.
    """
    declared = {
        line.split()[2]
        for line in text.split("\n")
        if line.split()[:2] == ["#", "TYPE"] and len(line.split()) > 2
    }
    samples: Spoken = defaultdict(list)
    types: dict[str, set[str]] = defaultdict(set)
    for family in text_string_to_metric_families(text):
        added = family.type == "counter" and f"{family.name}_total" not in declared
        for sample in family.samples:
            name = sample.name.removesuffix("_total") if added else sample.name
            samples[name].append((dict(sample.labels), repr(float(sample.value))))
            types[name].add(family.type)
    return dict(samples), types


def spoken(page: Page) -> Spoken:
    """Return what our parser read, in the same shape."""
    return {
        name: [(dict(series.labels), repr(value)) for series, value in samples]
        for name, samples in page.samples.items()
    }


def assert_agrees(parser: Parser, text: str) -> Page:
    """Parse cold and warm, and demand the oracle's answer both times."""
    expected, types = oracle(text)
    cold, warm = parser.parse(text), parser.parse(text)
    assert spoken(cold) == expected
    assert spoken(warm) == expected
    assert cold.malformed == warm.malformed == 0
    for name, kinds in types.items():
        for kind in kinds - {"unknown"}:
            assert cold.type_of(name) in (kind, "conflicting"), name
    return cold

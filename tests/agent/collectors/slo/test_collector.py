"""The collector of objectives: what it makes of the snapshot that it is shown."""

from agent.catalogue import serving, serving_slo
from agent.collectors.slo.collector import SloCollector
from agent.slo.objective import Objective
from agent.snapshot import Batch, Distribution, Reading
from agent.vetting import vet

FAST = Objective(
    name="fast", signal="request_duration", threshold=1.0, target=0.99, window=2_592_000
)


def server(at: float, *counts: int, up: float = 1) -> Batch:
    """Return the batch of a server."""
    value = Distribution((1.0,), counts, 0.0)
    return Batch(
        at,
        (
            Reading(serving.SERVER_UP, ("chat", "vllm"), up),
            Reading(serving.REQUEST_DURATION, ("chat", "vllm", "m", "", ""), value),
        ),
    )


async def test_counts_from_snapshot_to_snapshot() -> None:
    """Each run takes in what is new, and gives what may be exported as it is."""
    shown: dict[str, Batch] = {}
    collector = SloCollector([FAST], lambda: shown, clock=lambda: 100.0)
    gave = [await collector.collect()]
    for at, counts in ((1, (5, 5)), (6, (7, 6)), (11, (8, 6))):
        shown["serving/chat"] = server(at, *counts)
        gave.append(await collector.collect())

    totals = [{metric.name: value for metric, _, value in vet(batch)[0].readings} for batch in gave]

    assert totals[0] == {"inference.slo.objective": 0.99, "inference.slo.window": 2_592_000}
    assert [each.get("inference.slo.total") for each in totals] == [None, 0, 3, 4]
    assert [each.get("inference.slo.good") for each in totals] == [None, 0, 2, 3]
    assert [batch.problems for batch in gave] == [(), (), (), ()]


async def test_an_objective_that_no_server_can_answer_is_named() -> None:
    """A name that is mistyped is said as soon as any server is up, and not before."""
    down = Batch(1, (Reading(serving.SERVER_UP, ("chat", "vllm"), 0.0),))
    shown = {"serving/chat": down}
    wrong = Objective(name="typo", signal="queue", threshold=1, target=0.9, window=1, model="lama")
    collector = SloCollector([wrong], lambda: shown)
    before = await collector.collect()
    shown["serving/chat"] = server(2, 0, 0)

    after = await collector.collect()

    assert before.problems == ()
    assert [(each.reason, each.subject) for each in after.problems] == [("nothing_counted", "typo")]


async def test_batches_of_other_collectors_are_not_servers() -> None:
    """Its own batch and those of GPUs are in the snapshot too, and an empty one."""
    own = Batch(1, (Reading(serving_slo.SLO_WINDOW, ("fast",), 1.0),))
    collector = SloCollector([FAST], lambda: {"slo": own, "empty": Batch(1, ())})

    assert (await collector.collect()).problems == ()
    await collector.close()

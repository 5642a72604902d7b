import json
from dataclasses import asdict, replace

import pytest

from agent.catalogue import gpu, serving, window
from agent.catalogue.attributes import PEER_SIGNAL
from agent.catalogue.events import GPU_OOM
from agent.snapshot import (
    CollectorState,
    Event,
    ExporterState,
    Holder,
    Problem,
    Reading,
    Snapshot,
    Status,
)
from exporters.status import words
from exporters.status.history import History
from exporters.status.model import GpuView, Level, NodeView
from exporters.status.node import node_view
from tests.exporters import snapshots

NOON = snapshots.NOON


def view_of(snapshot: Snapshot, history: History | None = None) -> NodeView:
    """Return the view of a snapshot half a second after it was taken."""
    return node_view(
        snapshot,
        history or History(),
        node="node-a",
        cluster="prod",
        now=snapshot.taken_at + 0.5,
    )


def one_gpu(
    *more: Reading, news: tuple[Event, ...] = (), changes: dict[str, float] | None = None
) -> GpuView:
    """Return the view of a node's only GPU."""
    readings = [*snapshots.gpu_readings(0, **(changes or {})), *more]
    snapshot = snapshots.assemble(1, NOON, {"nvml": readings}, news=news)
    (found,) = view_of(snapshot).gpus
    return found


def test_gpus_come_in_the_order_of_their_index() -> None:
    """Index 10 comes after index 2, and a GPU without an index comes last."""
    readings = [r for index in (10, 2) for r in snapshots.gpu_readings(index)]
    readings.append(Reading(gpu.LOST, ("GPU-0",), 1))

    view = view_of(snapshots.assemble(1, NOON, {"nvml": readings}))

    assert [found.index for found in view.gpus] == ["2", "10", ""]


def test_gpu_view_gathers_what_is_read() -> None:
    """A GPU's view holds its readings in their own units."""
    found = one_gpu()

    assert found.model == "NVIDIA H100 80GB HBM3"
    assert found.memory.total == 80 * 2**30
    assert found.utilization == 0.97
    assert (found.power, found.power_limit) == (642.318, 700)
    assert (found.temperature.gpu, found.temperature.limit) == (58, 87)
    assert found.level is Level.OK


def test_lost_gpu_has_no_values() -> None:
    """A lost GPU is lost in words, and every value of it is null, not 0."""
    found = view_of(snapshots.full()).gpus[7]

    assert found.level is Level.LOST
    assert found.verdict.startswith("Lost")
    assert found.utilization is None
    assert found.memory.used is None
    assert found.power is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"margin": 0.0}, "At its temperature limit"),
        ({"margin": 4.0}, "4 °C below the slowdown"),
        ({"used": 79.0}, "Memory nearly full: 79.0 of 80.0 GiB"),
        ({"thermal": 1.0}, "Clocks held down: thermal (hardware)"),
        ({"lanes": 8.0}, "PCIe runs on 8 of 16 lanes"),
    ],
)
def test_attention_has_a_reason_in_words(changes: dict[str, float], words: str) -> None:
    """What asks for a look says why."""
    found = one_gpu(changes=changes)

    assert found.level is Level.ATTENTION
    assert words in found.verdict


@pytest.mark.parametrize(
    ("signal", "said"),
    [
        ("temperature", "Hotter than its siblings"),
        ("clock", "SM clock lower than its siblings'"),
        ("power", "Draws less power than its siblings for the same work"),
        ("throttle", "Held down for longer than its siblings"),
        ("errors", "More errors than its siblings"),
        ("of_tomorrow", "Unlike its siblings: of_tomorrow"),
    ],
)
def test_outlier_says_in_what_and_how_far(signal: str, said: str) -> None:
    """A GPU that stands out from its siblings says in which respect, and by how much of their spread."""
    found = one_gpu(Reading(window.PEER_OUTLIER, (snapshots.uuid(0), signal), 21.7))

    assert found.level is Level.ATTENTION
    assert found.reasons == (f"{said}, by 22 times their usual spread (from 6 it stands out)",)


def test_every_signal_has_words() -> None:
    """No respect in which GPUs are compared reaches the page as a bare word."""
    assert words.PEER_WORDS.keys() == set(PEER_SIGNAL.values)


def test_farthest_from_its_siblings_comes_first() -> None:
    """Of several respects the one in which the GPU stands out most is the verdict."""
    scores = {"clock": 8.0, "temperature": 31.0, "throttle": window.OUTLIER}

    found = one_gpu(
        *(
            Reading(window.PEER_OUTLIER, (snapshots.uuid(0), signal), score)
            for signal, score in scores.items()
        )
    )

    assert found.verdict.startswith("Hotter than its siblings, by 31 times")
    assert len(found.reasons) == 2


def test_power_cap_is_no_reason_for_attention() -> None:
    """A busy GPU at its power cap is well."""
    found = one_gpu(changes={"sw": 1.0})

    assert found.level is Level.OK
    assert found.throttle == ("sw_power_cap",)


def test_fatal_xid_stays_a_reason() -> None:
    """An XID that needs a reset keeps the GPU in attention; one of an application does not."""
    fatal = one_gpu(Reading(gpu.XID_EVENTS, (snapshots.uuid(0), "79"), 2))
    single = one_gpu(Reading(gpu.XID_EVENTS, (snapshots.uuid(0), "79"), 1))
    harmless = one_gpu(Reading(gpu.XID_EVENTS, (snapshots.uuid(0), "31"), 2))

    assert fatal.verdict == "XID 79, 2 times since the agent started"
    assert single.verdict == "XID 79, once since the agent started"
    assert harmless.level is Level.OK


def test_memory_death_is_shown_for_ten_minutes_on_its_gpu() -> None:
    """A recent out-of-memory death marks the GPU it happened on, and no other, and not for ever."""

    def died(ago: float, index: int) -> Event:
        return Event(GPU_OOM, NOON - ago, "died", (("hw.id", snapshots.uuid(index)),))

    assert one_gpu(news=(died(120, 0),)).verdict == "Out of GPU memory 2 min ago"
    assert one_gpu(news=(died(601, 0),)).level is Level.OK
    assert one_gpu(news=(died(120, 1),)).level is Level.OK


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"busy": 0.5}, "Well, working"),
        ({"busy": 0.0, "used": 0.1}, "Well, idle"),
        ({"busy": 0.0, "used": 64.0}, "Well, idle with 64.0 GiB held"),
    ],
)
def test_healthy_gpu_says_how_it_is_used(changes: dict[str, float], verdict: str) -> None:
    """Idle, idle but taken, and working are told apart."""
    assert one_gpu(changes=changes).verdict == verdict


def test_pause_between_batches_is_not_idleness() -> None:
    """A GPU that worked within the last two minutes is working, even if not at this instant."""
    history = History()
    for second, busy in ((0, 0.9), (3, 0.0)):
        readings = snapshots.gpu_readings(0, busy=busy)
        snapshot = snapshots.assemble(1, NOON + second, {"nvml": readings})
        history.feed(snapshot)

    assert view_of(snapshot, history).gpus[0].verdict == "Well, working"


def test_page_shows_the_newest_sample_and_not_the_mean() -> None:
    """Where what is exported is folded, cards, trends and holders are of the batch as collected."""
    exported = snapshots.assemble(1, NOON, {"nvml": snapshots.gpu_readings(0, busy=0.5)})
    newest = replace(
        exported.batches["nvml"],
        readings=tuple(snapshots.gpu_readings(0, busy=0.9)),
        holders=(Holder(snapshots.uuid(0), 1, "python3", 10),),
    )
    snapshot = replace(exported, samples={"nvml": newest})
    history = History()

    history.feed(snapshot)
    (found,) = view_of(snapshot, history).gpus

    assert found.utilization == 0.9
    assert [value for _, value in found.trends.utilization] == [0.9]
    assert [holder.name for holder in found.holders] == ["python3"]


def test_holders_are_listed_by_size() -> None:
    """Who uses a GPU stands on its card, the largest first; unknown sizes stay unknown."""
    holders = (
        Holder(snapshots.uuid(0), 1, "small", 10),
        Holder(snapshots.uuid(0), 2, "unknown", None),
        Holder(snapshots.uuid(0), 3, "large", 20),
        Holder(snapshots.uuid(1), 4, "elsewhere", 30),
    )
    snapshot = snapshots.assemble(1, NOON, {"nvml": snapshots.gpu_readings(0)}, holders=holders)

    (found,) = view_of(snapshot).gpus

    named = [(holder.name, holder.memory) for holder in found.holders]
    assert named == [("large", 20), ("small", 10), ("unknown", None)]


def test_two_sources_know_a_gpu_together() -> None:
    """What one source lacks of a GPU's description, another one fills in."""
    key = snapshots.uuid(0)
    blank = [""] * (len(gpu.INFO.attributes) - 3)
    snapshot = snapshots.assemble(
        1,
        NOON,
        {
            "nvml": [Reading(gpu.INFO, (key, "0", "", *blank), 1)],
            "dcgm": [Reading(gpu.INFO, (key, "", "NVIDIA A100", *blank), 1)],
        },
    )

    (found,) = view_of(snapshot).gpus

    assert (found.index, found.model) == ("0", "NVIDIA A100")


def test_servers_have_models_with_rates_of_the_last_minute() -> None:
    """A model's rates and latencies come from the growth of its counts."""
    history = History()
    for second in range(0, 91, 3):
        snapshot = snapshots.full(1, elapsed=float(second))
        history.feed(snapshot)

    llama, ranker = view_of(snapshot, history).servers

    (model,) = llama.models
    assert model.requests_per_second == pytest.approx(12.0)
    assert model.generated_tokens_per_second == pytest.approx(2520.0)
    assert model.time_to_first_token is not None
    assert model.time_to_first_token.p95 is not None
    (plain,) = ranker.models
    assert plain.request_duration is not None
    assert plain.request_duration.p95 is None
    assert plain.request_duration.mean == pytest.approx(0.0123)


def test_server_that_is_down_is_named_first() -> None:
    """A server without metrics is lost, though nothing else is known of it."""
    readings = [Reading(serving.SERVER_UP, ("llama", ""), 0)]

    view = view_of(snapshots.assemble(1, NOON, {"serving/llama": readings}))

    assert view.servers[0].up is False
    assert view.servers[0].models == ()
    assert [line.text for line in view.headlines] == ["Model server llama: Down: gives no metrics"]


def test_recent_errors_and_a_full_cache_ask_for_a_look() -> None:
    """Errors within the minute, and a KV cache that is nearly full, are said in words."""
    history = History()
    for second, errors in ((0, 5.0), (30, 9.0)):
        readings = [Reading(serving.REQUESTS_ERRORS, (*snapshots.VLLM, "500"), errors)]
        snapshot = snapshots.assemble(1, NOON + second, {"s": readings})
        history.feed(snapshot)
    full = [Reading(serving.KV_CACHE_UTILIZATION, snapshots.VLLM, 0.99)]

    failing = view_of(snapshot, history).servers[0]
    crowded = view_of(snapshots.assemble(1, NOON, {"s": full})).servers[0]

    assert failing.verdict == "4 errors in the last minute"
    assert crowded.verdict == "KV cache at 99 %"
    assert failing.level is crowded.level is Level.ATTENTION


def test_errors_without_a_model_belong_to_the_server() -> None:
    """Errors that name no model make no row of their own, and are not lost."""
    history = History()
    for second, errors in ((0, 5.0), (30, 6.0)):
        readings = [
            Reading(serving.REQUESTS_RUNNING, snapshots.VLLM, 1),
            Reading(serving.REQUESTS_ERRORS, ("llama", "vllm", "", "", "", "500"), errors),
        ]
        snapshot = snapshots.assemble(1, NOON + second, {"s": readings})
        history.feed(snapshot)

    (server,) = view_of(snapshot, history).servers

    assert [model.name for model in server.models] == [snapshots.VLLM[2]]
    assert server.unattributed_errors == 6
    assert server.verdict == "1 error in the last minute"


def test_what_is_told_of_all_engines_makes_no_model_of_its_own() -> None:
    """A model whose refusals are counted for all of its engines has a row for each engine, and no more."""
    key = ("llama", "vllm", "m", "")
    readings = [
        Reading(serving.REQUESTS_RUNNING, (*key, "0"), 3),
        Reading(serving.REQUESTS_RUNNING, (*key, "1"), 4),
        Reading(serving.REQUESTS_REJECTED, (*key, "", "queue_full"), 0),
    ]

    (server,) = view_of(snapshots.assemble(1, NOON, {"s": readings})).servers

    assert [(model.engine, model.running) for model in server.models] == [("0", 3), ("1", 4)]


def test_headlines_begin_with_what_is_lost() -> None:
    """Lost GPUs, blind collectors and failing exporters come before what asks for a look."""
    lines = view_of(snapshots.full()).headlines

    assert [line.level for line in lines] == [Level.LOST] * 3 + [Level.ATTENTION] * 3
    assert lines[1].text.startswith("Collector dcgm stalled: no answer for 5 s")
    assert view_of(snapshots.full()).level is Level.LOST


def test_unavailable_collector_is_no_fault() -> None:
    """A source that this machine does not have makes no headline."""
    view = view_of(snapshots.empty())

    assert view.collectors[0].level is Level.OFF
    assert view.level is Level.OK
    assert view.headlines == ()


def test_problems_of_a_collector_ask_for_a_look_without_a_headline() -> None:
    """A collector that could not read everything is marked where it stands."""
    problem = Problem("not_finite", "GPU-1", "nan")
    state = CollectorState("nvml", Status.OK, NOON, problems=(problem,))

    view = view_of(snapshots.assemble(1, NOON, {}, states=(state,)))

    assert view.collectors[0].level is Level.ATTENTION
    assert view.headlines == ()


@pytest.mark.parametrize(
    ("state", "level"),
    [
        (ExporterState("o", "metrics"), Level.OK),
        (ExporterState("o", "metrics", sent=5, last_success=NOON - 10), Level.OK),
        (ExporterState("o", "metrics", 5, 1, 0, 0, NOON - 10, "refused"), Level.OK),
        (ExporterState("o", "metrics", 5, 1, 0, 2, NOON - 10, "refused"), Level.LOST),
        (ExporterState("o", "metrics", 5, 1, 0, 0, NOON - 90, "refused"), Level.LOST),
        (ExporterState("o", "metrics", 0, 1, 0, 0, None, "refused"), Level.LOST),
        (ExporterState("o", "metrics", 5, 1, 3, 0, NOON - 10), Level.ATTENTION),
    ],
)
def test_exporter_is_judged_by_what_arrives(state: ExporterState, level: Level) -> None:
    """An error is a fault while nothing gets through; what was dropped is not forgotten."""
    view = view_of(snapshots.assemble(1, NOON, {}, exporters=(state,)))

    assert view.exporters[0].level is level


def test_events_come_newest_first() -> None:
    """The newest of the events come first, with their severity."""
    view = view_of(snapshots.full())

    assert view.events[0].kind == "warpwatch.collector.failed"
    assert view.events[1].severity == "page"
    assert view.event_total == 6


def test_view_is_plain_json() -> None:
    """The view survives JSON unchanged, and holds no number that JSON lacks."""
    view = view_of(snapshots.full())

    said = json.loads(json.dumps(asdict(view), allow_nan=False))

    assert said["gpus"][7]["level"] == "lost"
    assert said["gpus"][7]["power"] is None
    assert said["agent"]["version"] == "0.1.0"


def test_age_is_never_negative() -> None:
    """A clock that runs behind makes nothing younger than new."""
    snapshot = replace(snapshots.empty(), taken_at=NOON + 10)

    view = node_view(snapshot, History(), node="", cluster="", now=NOON)

    assert view.age == 0

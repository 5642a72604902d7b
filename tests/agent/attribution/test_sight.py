"""What the join takes from other collectors' batches."""

from agent.attribution.sight import Board, Part, Served, sight_of
from agent.catalogue import gpu, gpu_mig, itself, serving
from agent.collectors.nvml.driver import GpuProcess, Processes
from agent.collectors.nvml.readings import holders
from agent.snapshot import Batch, Distribution, Holder, Reading


def test_gpus_servers_and_holders_are_met() -> None:
    """Boards with their memory, servers with their models, and processes; all else is passed over."""
    nvml = Batch(
        1,
        (
            Reading(gpu.INFO, ("g0", "0", "H100", *[""] * 7), 1),
            Reading(gpu.MEMORY_LIMIT, ("g0",), 80.0),
            Reading(gpu.LOST, ("g0",), 0),
        ),
        holders=(Holder("g0", 7, "python", 1),),
    )
    chat = Batch(
        1,
        (
            Reading(serving.SERVER_UP, ("chat", "vllm"), 1),
            Reading(serving.REQUESTS_RUNNING, ("chat", "vllm", "b", "2", "0"), 1),
            Reading(serving.REQUESTS_RUNNING, ("chat", "vllm", "b", "2", "1"), 1),
            Reading(
                serving.QUEUE_DURATION, ("chat", "vllm", "a", "", "0"), Distribution((), (1,), 1.0)
            ),
            Reading(serving.REQUESTS_ERRORS, ("chat", "vllm", "", "", "", "5xx"), 1),
        ),
    )
    other = Batch(1, (Reading(itself.PROCESS_CPU, (), 1.0),))

    sight = sight_of([nvml, chat, other, Batch(1, ())])

    assert sight.boards == {"g0": Board("g0", "0", "H100", 80.0)}
    assert sight.served == {"chat": Served("vllm", True, (("a", ""), ("b", "2")))}
    assert [each.pid for each in sight.holders] == [7]


def test_a_process_is_placed_on_its_part_of_a_divided_gpu() -> None:
    """By the numbers that the driver gives both, through all that lies between."""
    told = (
        Reading(gpu.INFO, ("g0", "0", "H100", *[""] * 7), 1),
        Reading(gpu_mig.MIG_INFO, ("MIG-a", "g0", "1g.10gb", "7", "0"), 1),
        Reading(gpu_mig.MIG_MEMORY_LIMIT, ("MIG-a",), 10.0),
    )
    process = GpuProcess(5, "python", 1, gpu_instance=7, compute_instance=0)
    astray = process._replace(pid=6, gpu_instance=None, compute_instance=None)
    found = holders("g0", Processes(compute=(process, astray)))

    sight = sight_of([Batch(1, told, holders=found)])

    assert sight.parts == {"MIG-a": Part("MIG-a", "g0", ("7", "0"), 10.0)}
    assert {each.pid: sight.device(each) for each in sight.holders} == {5: "MIG-a", 6: None}

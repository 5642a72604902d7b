"""A node for people without a GPU: simulated GPUs behind the driver's own interface, and model servers.

Nothing here is imported unless somebody asks for it (`--simulate`, `warpwatch demo`, tests).
"""

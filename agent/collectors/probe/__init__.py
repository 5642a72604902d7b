"""Asks a model server for a tiny answer now and then, as a user would.

Its metrics can be fine while it hangs: a front end answers `/metrics` long after the engine behind it is
stuck. Off unless a server's configuration asks for it, since each probe costs the server a little work.
"""

from agent.collectors.probe.budget import Budget
from agent.collectors.probe.collector import ProbeCollector
from agent.collectors.probe.plan import Plan

__all__ = ["Budget", "Plan", "ProbeCollector"]

"""Drift: what the traffic of a model looks like, told as counts per bin; no payload leaves the process.

A process of its own beside the agent: it takes payloads, the agent never does.
"""

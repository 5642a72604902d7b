"""Warpwatch's node agent: reads a GPU node and its model servers, and keeps one snapshot of them."""

__version__ = "0.1.0"

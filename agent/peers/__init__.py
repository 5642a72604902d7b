"""Compares the GPUs of a node with each other, to find the one that is not like its siblings.

A slow or hot GPU among healthy ones is invisible to every fixed threshold, and holds up the whole job.
See docs/adr/0010-peers-of-a-node.md for what is compared, and why here.
"""

"""Finds the model servers of a node while they come and go.

Sources (the pods of the node, the listening sockets of processes that hold a GPU) tell where a server might
be. What is there, its page alone decides; only what turned out to be a model server is collected from.
"""

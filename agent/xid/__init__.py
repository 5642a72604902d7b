"""What NVIDIA's driver means by an XID: the table of codes, policies over it, and one count of each error.

Pure and of the standard library: no input or output, no clock of its own. It imports nothing of ours, as the
catalogue does not: the two stand side by side, and every collector can use both.
"""

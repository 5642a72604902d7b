"""Whose GPUs are whose: from a server's URL over its processes to the GPUs that they hold."""

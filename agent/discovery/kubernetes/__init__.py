"""Finds model servers among the pods of this node, by the API server."""

from agent.discovery.kubernetes.api import ApiError, ApiServer, Gone
from agent.discovery.kubernetes.source import KubernetesSource

__all__ = ["ApiError", "ApiServer", "Gone", "KubernetesSource"]

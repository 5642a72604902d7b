"""The agent's configuration: what can be set, how it is read, how it is documented."""

from agent.config.discovery import Discovery
from agent.config.load import ConfigError, ConfigProblem, load
from agent.config.profiles import Profile
from agent.config.settings import Config, Dcgm, Otlp, Server
from agent.config.values import Address
from agent.config.web import Web

__all__ = [
    "Address",
    "Config",
    "ConfigError",
    "ConfigProblem",
    "Dcgm",
    "Discovery",
    "Otlp",
    "Profile",
    "Server",
    "Web",
    "load",
]

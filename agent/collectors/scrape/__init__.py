"""Fetches one page of metrics, within bounds, whatever the server does.

A server that hangs, floods, redirects or answers something else must cost the agent no more than a
timeout and a few megabytes, and whoever is paged must be told in one sentence what to do about it.
"""

from agent.collectors.scrape.access import OPEN, Access
from agent.collectors.scrape.connections import Connections
from agent.collectors.scrape.endpoint import Endpoint, endpoint
from agent.collectors.scrape.fetch import MAX_BODY, Body, Scraper
from agent.collectors.scrape.reasons import ScrapeError, overfull
from agent.collectors.scrape.text import Text, text_of

__all__ = [
    "MAX_BODY",
    "OPEN",
    "Access",
    "Body",
    "Connections",
    "Endpoint",
    "ScrapeError",
    "Scraper",
    "Text",
    "endpoint",
    "overfull",
    "text_of",
]

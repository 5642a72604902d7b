"""Our readings under dcgm-exporter's names, so that dashboards and rules made for it work unchanged."""

from exporters.dcgm.exposition import DcgmExposition

__all__ = ["DcgmExposition"]

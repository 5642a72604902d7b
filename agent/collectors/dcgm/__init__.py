"""dcgm-exporter, for nodes that run it already: the same metrics of the catalogue as from NVML.

Where NVML gives a series too, NVML's is used. dcgm-exporter samples each 30 s unless told otherwise, so
its values can be that old when they are scraped.
"""

from agent.collectors.dcgm.collector import DcgmCollector

__all__ = ["DcgmCollector"]

"""The errors of the driver, whoever saw them: counted once, judged, grouped and told."""

"""Sources: one file or folder each, all behind the same contract (`agent.collector`)."""

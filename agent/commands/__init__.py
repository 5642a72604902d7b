"""One file per command of `warpwatch`; each is imported when it is asked for."""

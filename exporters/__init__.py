"""Sinks: each presents the snapshot in one form. None of them reads hardware or judges."""

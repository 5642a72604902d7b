"""Tells how objectives were kept."""

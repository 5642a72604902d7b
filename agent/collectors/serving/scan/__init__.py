"""Looks at one page of any server: what it exposes, what is understood of it, and what is not.

The collector reads what a profile names and is fast; a scan reads everything once, for a person who wants
to know whether a server is understood, and to write the profile if it is not.
"""

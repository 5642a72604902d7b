"""Model servers: their own metrics, told in one language.

A profile is data: which native family gives which signal of the catalogue. Adding a server is adding a
profile; the code that reads them knows none by name.
"""

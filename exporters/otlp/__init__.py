"""The push road: metrics and events to OTLP receivers.

`settings` says where to and how, and imports nothing heavy; `exporter` is the rest, to be imported only
where settings ask for a push.
"""

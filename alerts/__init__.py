"""Build time only: alert rules, Alertmanager configuration and runbooks, made from the catalogue."""

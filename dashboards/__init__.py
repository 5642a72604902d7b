"""Build time only: Grafana dashboards, made from the catalogue."""

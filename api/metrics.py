"""What this process counts itself, for Prometheus. What stands in Postgres is read at scrape time by health.py."""

from prometheus_client import Counter, Histogram

REQUEST_SECONDS = Histogram("sojourn_request_seconds", "Time to answer, by route", ("method", "route", "status"))
INGEST_ITEMS = Counter("sojourn_ingest_items_total", "Items that came in, by kind and what became of them", ("kind", "outcome"))
INGEST_SECONDS = Histogram("sojourn_ingest_seconds", "Time from the parsed body to the commit of its events")

# One image for api, worker and migrate: `docker run sojourn api|worker|migrate`.
FROM python:3.12-slim AS build
WORKDIR /build
RUN python -m venv /venv
COPY requirements.lock ./
RUN /venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE settings.py ./
COPY journeys journeys
COPY storage storage
COPY channels channels
COPY activities activities
COPY workflows workflows
COPY api api
COPY cli cli

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home sojourn && install -d -o sojourn /var/lib/sojourn/lanes
COPY --from=build /venv /venv
COPY --from=build /build /app
# Run from the source tree: journeys, templates and migrations are files beside the code.
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 SOJOURN_LANE_JOURNALS=/var/lib/sojourn/lanes
WORKDIR /app
USER sojourn
EXPOSE 8080
ENTRYPOINT ["python", "-m", "cli.sojourn"]
CMD ["api", "--host", "0.0.0.0"]

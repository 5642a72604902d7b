# An image, for a registry of your own. The agent's:
#   docker build -t REGISTRY/warpwatch:0.1.0 .
# that of the drift process (`warpwatch drift run`), with numpy beside it:
#   docker build --build-arg LOCK=requirements-drift.lock -t REGISTRY/warpwatch-drift:0.1.0 .
# that of the drift report (`warpwatch drift report`), with Evidently, 1 GB, on the Python that it is tested with:
#   docker build --build-arg LOCK=requirements-report.lock --build-arg PYTHON=3.11 -t REGISTRY/warpwatch-report:0.1.0 .
# Its steps are those of the Makefile; the build as a whole is not part of the tests, which need no container engine.
ARG PYTHON=3.13
FROM python:${PYTHON}-slim AS build
ARG LOCK=requirements.lock
WORKDIR /source
COPY ${LOCK} pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/warpwatch \
 && /opt/warpwatch/bin/pip install --no-cache-dir --require-hashes --requirement "${LOCK}"
COPY agent agent
COPY exporters exporters
COPY dashboards dashboards
COPY alerts alerts
RUN /opt/warpwatch/bin/pip install --no-cache-dir --no-deps .

FROM python:${PYTHON}-slim
COPY --from=build /opt/warpwatch /opt/warpwatch
# The package names are generic; this keeps a folder called agent in the working directory out of the way.
ENV PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PATH=/opt/warpwatch/bin:$PATH
USER 65532:65532
EXPOSE 9410 9411
ENTRYPOINT ["warpwatch"]
CMD ["run"]

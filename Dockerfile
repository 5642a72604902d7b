# The agent's image, for a registry of your own: docker build -t REGISTRY/warpwatch:0.1.0 .
# Its steps are those of the Makefile; the build as a whole is not part of the tests, which need no container engine.
FROM python:3.13-slim AS build
WORKDIR /source
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/warpwatch \
 && /opt/warpwatch/bin/pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY agent agent
COPY exporters exporters
COPY dashboards dashboards
COPY alerts alerts
RUN /opt/warpwatch/bin/pip install --no-cache-dir --no-deps .

FROM python:3.13-slim
COPY --from=build /opt/warpwatch /opt/warpwatch
# The package names are generic; this keeps a folder called agent in the working directory out of the way.
ENV PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PATH=/opt/warpwatch/bin:$PATH
USER 65532:65532
EXPOSE 9410
ENTRYPOINT ["warpwatch"]
CMD ["run"]

# The router alone: no torch, no vLLM. Build from the repository's root:
#   docker buildx build -f deploy/docker/router.Dockerfile -t patchbay/router:0.1.0 --sbom=true --provenance=mode=max .
# The bill of materials goes with the image in a registry; what is in it is exactly requirements/router.txt.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
RUN python -m venv /opt/patchbay
COPY requirements/router.txt /src/requirements/router.txt
RUN /opt/patchbay/bin/pip install --no-deps --require-hashes -r /src/requirements/router.txt
COPY pyproject.toml README.md LICENSE /src/
COPY src /src/src
COPY core /src/core
COPY registry /src/registry
COPY guards /src/guards
COPY adapters /src/adapters
COPY tuning /src/tuning
COPY router /src/router
COPY server /src/server
COPY launch /src/launch
RUN /opt/patchbay/bin/pip install --no-deps /src

FROM ${PYTHON_IMAGE} AS router
LABEL org.opencontainers.image.title="patchbay-router" \
      org.opencontainers.image.description="Patchbay's router: one OpenAI-compatible endpoint in front of many replicas" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
RUN groupadd --gid 10001 patchbay \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin patchbay \
 && install --directory --owner=10001 --group=10001 /etc/patchbay /var/lib/patchbay/artifacts /var/cache/patchbay \
 && chown 10001:10001 /var/lib/patchbay
COPY --from=build /opt/patchbay /opt/patchbay
ENV PATH=/opt/patchbay/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    XDG_CACHE_HOME=/var/cache/patchbay PATCHBAY_DATA_DIR=/var/lib/patchbay
USER 10001:10001
WORKDIR /etc/patchbay
EXPOSE 8080 8081
# Where something else watches over it, as in Kubernetes, that is what counts.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8081/healthz', timeout=4)"]
ENTRYPOINT ["patchbay"]
CMD ["router", "--config", "/etc/patchbay/patchbay.yaml"]

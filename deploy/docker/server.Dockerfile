# One replica, for GPUs (--target gpu) or CPUs (--target cpu). Build from the repository's root:
#   docker buildx build -f deploy/docker/server.Dockerfile --target gpu -t patchbay/server:0.1.0-gpu --sbom=true .
#   docker buildx build -f deploy/docker/server.Dockerfile --target cpu -t patchbay/server:0.1.0-cpu --sbom=true \
#     --build-arg TORCH_INDEX=…     # where there are CPU builds of torch: scripts/setup names the usual one
# The CUDA libraries come as wheels, by requirements/gpu.txt; the driver is the host's.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
RUN python -m venv /opt/patchbay

FROM build AS build-cpu
ARG TORCH_VERSION=2.13.0
ARG TORCH_INDEX=""
RUN /opt/patchbay/bin/pip install --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "torch==$TORCH_VERSION+cpu"
COPY requirements/cpu.txt /src/requirements/cpu.txt
RUN /opt/patchbay/bin/pip install --no-deps --require-hashes -r /src/requirements/cpu.txt
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

FROM build AS build-gpu
COPY requirements/gpu.txt /src/requirements/gpu.txt
RUN /opt/patchbay/bin/pip install --no-deps --require-hashes -r /src/requirements/gpu.txt
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

FROM ${PYTHON_IMAGE} AS runtime
LABEL org.opencontainers.image.title="patchbay-server" \
      org.opencontainers.image.description="A replica of Patchbay: vLLM with many LoRA adapters over one base model" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
# Triton and torch compile kernels when a model is loaded, which takes a compiler.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ libnuma1 \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 patchbay \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/cache/models/home --shell /usr/sbin/nologin patchbay \
 && install --directory --owner=10001 --group=10001 /etc/patchbay /var/lib/patchbay/artifacts /var/cache/adapters \
      /var/cache/models
ENV PATH=/opt/patchbay/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/var/cache/models/home XDG_CACHE_HOME=/var/cache/models/xdg HF_HOME=/var/cache/models/hub \
    VLLM_CACHE_ROOT=/var/cache/models/vllm TRITON_CACHE_DIR=/var/cache/models/triton \
    TORCHINDUCTOR_CACHE_DIR=/var/cache/models/inductor PATCHBAY_DATA_DIR=/var/lib/patchbay
USER 10001:10001
WORKDIR /etc/patchbay
EXPOSE 9001
# It answers from its first second on; whether it is ready to serve is /readyz.
HEALTHCHECK --interval=10s --timeout=10s --start-period=120s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9001/healthz', timeout=8)"]
ENTRYPOINT ["patchbay"]
CMD ["server", "--config", "/etc/patchbay/server.yaml"]

FROM runtime AS cpu
COPY --from=build-cpu /opt/patchbay /opt/patchbay

FROM runtime AS gpu
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=build-gpu /opt/patchbay /opt/patchbay

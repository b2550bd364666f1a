# Runs jobs. The torch of the package index brings its own CUDA libraries, so the same image
# serves CPU and NVIDIA machines; the driver comes from the host.
FROM python:3.11-slim AS build
RUN python -m venv /opt/graft
ENV PATH=/opt/graft/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY graft graft
COPY shared shared
COPY worker worker
COPY infra infra
RUN --mount=type=cache,target=/var/cache/pip pip install --cache-dir /var/cache/pip --constraint requirements.lock '.[worker]'

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home graft \
    && install --directory --owner graft --group graft /var/lib/graft /var/lib/graft/store
COPY --from=build /opt/graft /opt/graft
ENV PATH=/opt/graft/bin:$PATH PYTHONUNBUFFERED=1 GRAFT_HOME=/var/lib/graft
USER graft
WORKDIR /var/lib/graft
CMD ["graft", "worker"]

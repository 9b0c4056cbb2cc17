# syntax=docker/dockerfile:1
# The image of the tasks on Vertex AI Pipelines. Targets:
#   pipeline (default)  every task, on CPU
#   cuda                Trainer and ResponseGen on NVIDIA accelerators (vertex.trainer_image)
#   dataflow            workers of Dataflow (vertex.dataflow_image)
#   gateway             the takeover gateway (deploy/serve), without TFX and TensorFlow
# trixie: the wheels of ml-metadata and TFDV for TFX 1.21 need glibc 2.39 or newer. Its digest makes
# builds repeatable; `docker buildx imagetools inspect python:3.12-slim-trixie` prints a newer one.
ARG PYTHON_IMAGE=python:3.12.14-slim-trixie@sha256:f77ac9e44ae96ef2c90b8053ea08c31f8be030f824196b0ae4db6d462c84e51f
# The version of apache-beam in requirements/tfx-1.21.txt.
ARG BEAM_IMAGE=apache/beam_python3.12_sdk:2.77.0
# The user that tasks run as. Vertex AI mounts the bucket (/gcs) for them: if this user cannot write
# there, build with RUN_AS=0 deploy/build.sh (docs/vertex.md, "Check this first").
ARG RUN_AS=1000

FROM ${PYTHON_IMAGE} AS packages
# pyfarmhash, of TFDV, has no wheel.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
# Byte code that names hashes and no times is the same in every build, and is not checked at start.
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1 PYC_INVALIDATION_MODE=UNCHECKED_HASH
WORKDIR /build
COPY requirements/uv.txt requirements/uv.txt
RUN pip install --no-cache-dir --require-hashes -r requirements/uv.txt \
    && python -m venv --without-pip /opt/venv
COPY pyproject.toml pyproject.toml
COPY requirements/tfx-1.21.in requirements/tfx-1.21.txt requirements/overrides.txt requirements/
# The lock as constraints: its versions and hashes, without the packages for development. xllamacpp
# checks a GGUF file (training.exports).
RUN uv pip install --python /opt/venv/bin/python \
    --constraints requirements/tfx-1.21.txt --build-constraints requirements/tfx-1.21.txt \
    --overrides requirements/overrides.txt \
    -r pyproject.toml --extra pipeline -r requirements/tfx-1.21.in xllamacpp

FROM packages AS cuda-packages
COPY deploy/cuda.txt deploy/cuda.txt
RUN uv pip install --target /opt/cuda --no-deps --require-hashes -r deploy/cuda.txt

FROM ${PYTHON_IMAGE} AS runtime
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    TF_CPP_MIN_LOG_LEVEL=2
# libgomp1: of xllamacpp.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home understudy \
    && install --directory --owner=1000 /app/.cache
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app

FROM runtime AS code
COPY data/coverage data/coverage
COPY apps/space apps/space
COPY core core
COPY task task
COPY service_llm service_llm
COPY judging judging
COPY components components
COPY models models
COPY reports reports
COPY serving serving
COPY pipeline pipeline
COPY kubeflow_runner.py kubeflow_runner.py
# Without byte code the imports of every task take three times as long.
RUN python -m compileall -q --invalidation-mode unchecked-hash \
    core task service_llm judging components models reports serving pipeline kubeflow_runner.py

FROM runtime AS cuda
ARG RUN_AS
# As in NVIDIA's own images: with these a container is given the driver and its libraries.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    LD_LIBRARY_PATH=/usr/local/nvidia/lib:/usr/local/nvidia/lib64
COPY --from=cuda-packages /opt/cuda /opt/venv/lib/python3.12/site-packages
COPY --from=code /app /app
USER ${RUN_AS}
ENTRYPOINT ["python", "kubeflow_runner.py"]

FROM ${BEAM_IMAGE} AS beam

# Dataflow mounts folders of root into its workers: this target alone runs as root.
FROM code AS dataflow
COPY --from=beam /opt/apache/beam /opt/apache/beam
# Beam's boot program asks pip for the version of Beam, and would work in a new virtual environment
# that sees the packages of the system's Python and not those of /opt/venv.
RUN /opt/venv/bin/python -m ensurepip
ENV RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1
# hadolint ignore=DL3002
USER 0
ENTRYPOINT ["/opt/apache/beam/boot"]

FROM ${PYTHON_IMAGE} AS gateway-packages
WORKDIR /build
# model: with llama.cpp, for machines that run the tuned model beside the gateway.
ARG LOCK=gateway
COPY requirements/${LOCK}.txt requirements/lock.txt
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --require-hashes -r requirements/lock.txt

FROM ${PYTHON_IMAGE} AS gateway
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1
# libgomp1: of xllamacpp, which LOCK=model holds.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home understudy
COPY --from=gateway-packages /opt/venv /opt/venv
WORKDIR /app
COPY core core
COPY task task
COPY service_llm service_llm
COPY judging judging
COPY components components
COPY models models
COPY reports reports
COPY serving serving
COPY pipeline pipeline
COPY local_runner.py local_runner.py
USER 1000
EXPOSE 8100
ENTRYPOINT ["python", "local_runner.py", "serve"]

FROM code AS pipeline
ARG RUN_AS
USER ${RUN_AS}
ENTRYPOINT ["python", "kubeflow_runner.py"]

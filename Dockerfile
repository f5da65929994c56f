# tunesmith in a container, as a user without rights.
#
#   docker build -t tunesmith .
#   docker run --rm -v "$PWD/runs:/work/runs" tunesmith run recipes/smoke/causal-lm.yaml --on cpu
#   docker run --rm --gpus all --shm-size 8g -v "$PWD/runs:/work/runs" tunesmith run recipes/gpt_sft.yaml --on node
#
# Which build of torch is installed is the package index's choice, as for `make env`; for another one:
#   docker build --build-arg TORCH_ARGS="--index-url ..." -t tunesmith .
# Your own recipes: put them below recipes/ before you build, or mount them: -v "$PWD/mine:/work/mine:ro".
# The mounted runs/ must be writable for user 1000; for another user add: --user "$(id -u)" -e HOME=/tmp
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG TORCH_ARGS=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ \
 && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /build
COPY constraints.txt ./
# The order is that of `make env`: what builds packages first, torch alone and exact, then the rest.
RUN pip install --upgrade -c constraints.txt pip setuptools wheel ninja packaging hatchling py-cpuinfo psutil
RUN pip install ${TORCH_ARGS} -c constraints.txt "$(grep '^torch==' constraints.txt)"
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
COPY recipes ./recipes
COPY launcher ./launcher
RUN DS_BUILD_OPS=0 pip install --no-build-isolation -c constraints.txt ".[zero,quantized,audio]" && pip check

FROM ${PYTHON_IMAGE}
# DeepSpeed compiles an op when it is first used, hence a compiler here too.
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 1000 --user-group --create-home tunesmith \
 && install -d -o tunesmith -g tunesmith /work /work/runs
COPY --from=build /opt/venv /opt/venv
COPY --chown=tunesmith:tunesmith recipes /work/recipes
COPY --chown=tunesmith:tunesmith launcher /work/launcher
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /work
USER 1000:1000
# No shell in between: tunesmith is the first process, and passes SIGTERM on to what it launched.
ENTRYPOINT ["tunesmith"]
CMD ["--help"]

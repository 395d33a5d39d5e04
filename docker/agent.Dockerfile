# The measuring agent's machine, for a board where nothing is to be installed:
#   docker build --platform linux/arm64 -f docker/agent.Dockerfile -t frostnas-agent docker
#   docker run --rm -v "$PWD:/bundle" frostnas-agent      # in the unpacked bundle of `profile-latency --out`
FROM python:3.12-slim

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PYTHONUNBUFFERED=1
RUN pip install 'numpy>=1.26,<3' 'onnxruntime>=1.22,<2'

WORKDIR /bundle
ENTRYPOINT ["python3", "agent.py"]

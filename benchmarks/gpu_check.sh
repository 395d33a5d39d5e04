#!/bin/sh
# What a CUDA device must do, in under five minutes: tests, QAT steps against FP32 with and without mixed precision, and
# the results of the CPU.  PYTHON=.venv/bin/python benchmarks/gpu_check.sh
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
PYTHONPATH=src${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH
"$PYTHON" -c 'import torch; print(torch.__version__, torch.cuda.get_device_name())'
"$PYTHON" -m pytest -q -p no:cacheprovider --durations=8 tests/test_cuda.py
"$PYTHON" benchmarks/qat_speed.py --device cuda --rounds 15

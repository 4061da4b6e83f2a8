"""What a machine can do at most, and how many operations something takes: for benchmarks that compare the two.

python benchmarks/limits.py prints the rate of products of matrices on one thread and on all.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_SECONDS = 0.5  # of products, at least


def matrix_rate(device: str, dtype: torch.dtype) -> float:
    """Floating-point operations a second of a product of square matrices, on the threads that PyTorch now uses."""
    side = 8192 if device == "cuda" else 1024
    a = torch.randn(side, side, device=device, dtype=dtype)
    return rate_of(lambda: a @ a, 2 * side**3, device)


def convolution_rate(device: str, dtype: torch.dtype) -> float:
    """The same of a convolution of 3 x 3 that is as large as those of the networks, in the layout that is fastest."""
    layer = torch.nn.Conv2d(128, 128, 3, padding=1, device=device, dtype=dtype)
    layer = layer.to(memory_format=torch.channels_last)
    image = torch.randn(1, 128, 120, 216, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    with torch.no_grad():
        return rate_of(lambda: layer(image), operations(lambda: layer(image)), device)


def rate_of(run: Callable[[], Any], count: int, device: str) -> float:
    """Operations a second of what takes so many, run again and again."""
    run()
    synchronize(device)
    start, times = time.perf_counter(), 0
    while times < 3 or time.perf_counter() - start < _SECONDS:
        run()
        synchronize(device)
        times += 1
    return times * count / (time.perf_counter() - start)


def operations(run: Callable[[], Any]) -> int:
    """Floating-point operations of convolutions and products of matrices; a product and a sum are two."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def synchronize(device: str) -> None:
    """Wait until the device has done what it was told."""
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Print the rates of the CPU."""
    for threads in sorted({1, torch.get_num_threads()}):
        torch.set_num_threads(threads)
        for name, dtype in DTYPES.items():
            rates = (matrix_rate("cpu", dtype) / 1e9, convolution_rate("cpu", dtype) / 1e9)
            print(f"{threads} threads, {name}: {rates[0]:.0f} GFLOP/s by matrices, {rates[1]:.0f} by convolutions")


if __name__ == "__main__":
    main()

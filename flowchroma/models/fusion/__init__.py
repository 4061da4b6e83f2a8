"""Networks that weigh the colours found for a frame: the system calls `fuse(signals) -> Fused`."""

"""Networks that weigh the colours found for a frame. All are called as `fusion(signals) -> ab`."""

"""What the entry points share: options and settings, building and resuming a run, launching, sweeps."""

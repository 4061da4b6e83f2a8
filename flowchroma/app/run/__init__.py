"""What `python -m flowchroma.run` needs: options checked, a run built, resumed, launched and recorded, sweeps."""

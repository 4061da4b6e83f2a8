"""What `python -m flowchroma.evaluate` needs: methods from options, processes that share clips, the report."""

"""What runs inside Lava; emission copies it beside the script, where nmdeploy need not be installed."""

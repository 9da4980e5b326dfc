"""What emitted PyNN scripts run: it builds the network, runs samples, records; needs PyNN and numpy, not nmdeploy."""

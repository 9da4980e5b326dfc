"""Testing on hardware: what ran, whether it is what it should be, and where and why it is not."""

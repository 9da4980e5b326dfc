"""What talks to samna, SynSense's library for its boards; emission copies it beside the script.

Needs samna and numpy, not nmdeploy. samna is imported by the script alone, when it runs:
the package of that name on PyPI replaces itself from elsewhere when it is imported.
"""

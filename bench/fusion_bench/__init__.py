"""Parts of `bench/fusion.py`."""

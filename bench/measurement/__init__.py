"""Measurements that several benchmarks share."""

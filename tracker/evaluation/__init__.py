"""TAP-Vid's metrics, runs over benchmarks, and their reports."""

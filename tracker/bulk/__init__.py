"""Many videos at once: from wherever they are kept, over many workers, into sharded Parquet."""

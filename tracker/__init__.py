"""Follow any point through any video, on frozen V-JEPA 2 features."""

"""Looking at frozen features: position against content, components, matches, key frames."""

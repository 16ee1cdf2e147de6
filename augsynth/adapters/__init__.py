"""Pipelines of other libraries as pipelines of this one: what can be fused is, the rest runs as a barrier."""

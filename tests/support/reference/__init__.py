"""A slow, plain reference of one SM, written from docs/timing-model.md: every cycle, every sub-core, no skipping."""

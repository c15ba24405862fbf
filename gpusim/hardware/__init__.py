"""Real cards: Nsight Compute reports, the cards that they describe, and the comparison with the model."""

"""Language modelling: conversations, packing, generation."""

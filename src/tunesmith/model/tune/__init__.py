"""What of a model learns: layers, adapters, frozen weights in few bits."""

"""A run's figures in TensorBoard, MLflow, Weights & Biases and Trackio."""

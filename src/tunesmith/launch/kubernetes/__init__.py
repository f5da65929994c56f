"""A run as a Kubeflow manifest."""

"""What is made before the first step: rows, tokenizer, task, estimates."""

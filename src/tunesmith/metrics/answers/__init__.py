"""What an answer is worth that is a program or a JSON document."""

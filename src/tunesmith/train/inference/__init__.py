"""Forward passes from which nothing is learnt: how they are made, and what a task makes with them."""

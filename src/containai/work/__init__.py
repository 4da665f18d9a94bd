"""What is to be done, as values: findings, actions, plans, and who is told of it."""

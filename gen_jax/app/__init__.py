"""What launch.py can do: arguments, checks, modes."""

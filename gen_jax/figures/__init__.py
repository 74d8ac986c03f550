"""What a run can show."""

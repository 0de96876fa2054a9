"""Find known values in texts of any size, in every encoding."""

"""Find registered values in texts of any size, in every encoding."""

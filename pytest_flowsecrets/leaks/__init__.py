"""Known secrets: the forms that a value can take, finding them in what a test run says, and masking them there."""

"""The HTML report of a run: what it records of each test, and the page that shows it. Nothing here holds a value."""

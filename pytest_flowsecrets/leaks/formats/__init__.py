"""The formats of structured secrets, and which of their parts are sensitive."""

"""The settings of Prefect 2.20 and 3: where each value comes from. Nothing here imports Prefect or reads a file."""

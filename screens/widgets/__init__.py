"""One widget a file. A widget is shown view-models and says what the operator wants; it never asks the engine itself."""

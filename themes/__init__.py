"""The palettes and the style sheet of the screens. Nothing in here runs."""

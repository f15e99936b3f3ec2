"""What starts: the application, the command line, settings, translations and the practice lab. The only place that wires
the layers together; no other layer imports from here."""

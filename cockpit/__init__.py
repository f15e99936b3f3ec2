"""What starts: the app, the command line, settings, translations and the practice lab. Only here the layers are wired together."""

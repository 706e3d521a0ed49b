"""Where models run: one small interface, and a module for each kind of server behind it."""

"""The scene generator: rooms, streets and objects from a seed."""

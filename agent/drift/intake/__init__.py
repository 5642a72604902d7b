"""The roads in: each turns what a server or a person sends into rows, or refuses it in words."""

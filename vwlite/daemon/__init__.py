"""The daemon: one model behind sockets, which serves and learns at the same time, and loses nothing."""

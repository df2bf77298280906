"""What the service tells about itself; none of it ever holds a question or an answer."""

"""The HTTP interface: authentication, limits, routes and error responses."""

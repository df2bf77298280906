"""The subcommands that the tools add to `chassis`."""

"""The launch review (`chassis ready`): checks that a repository must pass before a release."""

"""The launch review, carried out: what a release of this repository would have to answer for."""

"""The quality of the answers that production gives, seen over weeks: quality drift and the measure of success."""

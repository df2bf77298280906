"""What outlives the process: one database, and one module for each thing that is stored in it."""
